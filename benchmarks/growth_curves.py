#!/usr/bin/env python3
"""Draws the curves of docs/scale.md from the numbers of `benchmarks/growth.py`: a small SVG without any library.

python benchmarks/growth_curves.py growth.json docs/images/growth.svg
"""

import argparse
import json
import math
from pathlib import Path

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 360, 220, 46, 30, 34
COLORS = ("#d9531e", "#1e6fd9", "#3a9d4f")
# What is drawn: title, key in the numbers, whether the axis is logarithmic, and how a value is written.
PANELS = (
    ("efficiency", "efficiency", False, lambda value: f"{value:.0%}"),
    ("requests a pair", "requests_per_pair", True, lambda value: f"{value:.0f}"),
    ("seconds to the first output", "first_output_s", False, lambda value: f"{value:.0f}"),
    ("seconds of the tail", "tail_s", False, lambda value: f"{value:.0f}"),
)


def main() -> None:
    """Reads the numbers and writes the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("numbers", type=Path, help="JSON that growth.py wrote")
    parser.add_argument("picture", type=Path, help="SVG to write")
    args = parser.parse_args()
    rows = json.loads(args.numbers.read_text())
    parts = [panel(rows, *one, index) for index, one in enumerate(PANELS)]
    size = f'width="{2 * WIDTH}" height="{2 * HEIGHT}" viewBox="0 0 {2 * WIDTH} {2 * HEIGHT}"'
    style = 'font-family="sans-serif" font-size="11" fill="#777"'
    args.picture.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def panel(rows: list[dict], title: str, key: str, is_log: bool, text, index: int) -> str:
    """One curve for each rate of deaths, over the number of workers."""
    deaths = sorted({row["deaths_per_minute"] for row in rows})
    counts = sorted({row["workers"] for row in rows})
    top = max(row[key] for row in rows) * (1 if key == "efficiency" else 1.1)
    least = min(row[key] for row in rows) / 1.3 if is_log else 0.0

    def x_of(count: int) -> float:
        span = math.log(counts[-1] / counts[0]) or 1
        return LEFT + (WIDTH - LEFT - 24) * math.log(count / counts[0]) / span

    def y_of(value: float) -> float:
        part = math.log(value / least) / math.log(top / least) if is_log else value / top
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * part

    parts = [f'<g transform="translate({WIDTH * (index % 2)},{HEIGHT * (index // 2)})">']
    parts.append(f'<text x="{LEFT}" y="16" font-weight="bold">{title}</text>')
    parts += [f'<text x="{x_of(count):.0f}" y="{HEIGHT - 14}" text-anchor="middle">{count}</text>' for count in counts]
    for value in (top, (top * least) ** 0.5 if is_log else top / 2):
        y = y_of(value)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - 20}" stroke="#ccc" stroke-width="0.5"/>')
        parts.append(f'<text x="{LEFT - 4}" y="{y + 4:.1f}" text-anchor="end">{text(value)}</text>')
    for number, rate in enumerate(deaths):
        found = sorted((row["workers"], row[key]) for row in rows if row["deaths_per_minute"] == rate)
        path = "L".join(f"{x_of(count):.1f} {y_of(value):.1f}" for count, value in found)
        parts.append(f'<path d="M{path}" fill="none" stroke="{COLORS[number]}" stroke-width="2"/>')
        label = f"{rate:.0%} die a minute"
        parts.append(f'<text x="{WIDTH - 130}" y="{16 + 12 * number}" fill="{COLORS[number]}">{label}</text>')
    return "\n".join([*parts, "</g>"])


if __name__ == "__main__":
    main()
