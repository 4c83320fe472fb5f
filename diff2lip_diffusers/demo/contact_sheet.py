"""Contact sheet of the demo: frames of source, result and truth, with the speech below them."""

from collections.abc import Sequence

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

MARGIN_PX, LABEL_PX, WAVE_PX, CURVE_PX = 12, 64, 76, 76
PAPER, INK, FAINT = (250, 249, 246), (38, 40, 46), (206, 206, 202)
TRUE, PAINTED = (36, 124, 92), (214, 96, 52)


def contact_sheet(
    rows: Sequence[tuple[str, Sequence[np.ndarray]]],
    places: Sequence[float],
    samples: np.ndarray,
    curves: Sequence[tuple[str, np.ndarray]],
) -> PIL.Image.Image:
    """Draws rows of frames, and below them the waveform and two curves; lines connect the columns to their times.

    Args:
        rows: name and K frames each, (H, W, 3) uint8 RGB, all of one size.
        places: K times of the columns, as fractions of the duration, ascending.
        samples: (T,) the speech, float32 in [-1, 1].
        curves: name and (N,) numbers in [0, 1] each: first the true one, then the generated one.
    """
    height, width = rows[0][1][0].shape[:2]
    total = LABEL_PX + len(places) * (width + MARGIN_PX)
    rows_height = len(rows) * (height + MARGIN_PX)
    sheet = PIL.Image.new("RGB", (total + MARGIN_PX, rows_height + WAVE_PX + CURVE_PX + 6 * MARGIN_PX), PAPER)
    draw = PIL.ImageDraw.Draw(sheet)
    top = MARGIN_PX
    for name, frames in rows:
        draw.text((MARGIN_PX, top + height // 2 - 6), name, INK, PIL.ImageFont.load_default(13))
        for column, frame in enumerate(frames):
            sheet.paste(PIL.Image.fromarray(frame), (LABEL_PX + column * (width + MARGIN_PX), top))
        top += height + MARGIN_PX
    left, right = LABEL_PX, total - MARGIN_PX
    _draw_moments(draw, places, (left, right), width, top, top + WAVE_PX + CURVE_PX + 3 * MARGIN_PX)
    _draw_wave(draw, samples, (left, right), top + MARGIN_PX)
    _draw_curves(draw, curves, (left, right), top + WAVE_PX + 3 * MARGIN_PX)
    return sheet


def _draw_moments(draw, places: Sequence[float], span: tuple[int, int], width: int, top: int, bottom: int) -> None:
    """Draws lines from the columns down to their times."""
    left, right = span
    for column, place in enumerate(places):
        middle, moment = LABEL_PX + column * (width + MARGIN_PX) + width // 2, left + place * (right - left)
        draw.line([(middle, top - MARGIN_PX // 2), (moment, top + MARGIN_PX), (moment, bottom)], FAINT, 1)


def _draw_wave(draw, samples: np.ndarray, span: tuple[int, int], top: int) -> None:
    left, right = span
    middle = top + WAVE_PX // 2
    loudest = max(float(np.abs(samples).max()), 1e-6)
    for x, part in enumerate(np.array_split(samples, right - left)):
        low, high = (int(value / loudest * WAVE_PX / 2) for value in (part.min(), part.max()))
        draw.line([(left + x, middle - high), (left + x, middle - low)], INK, 1)
    draw.text((MARGIN_PX, middle - 6), "speech", INK, PIL.ImageFont.load_default(13))


def _draw_curves(draw, curves: Sequence[tuple[str, np.ndarray]], span: tuple[int, int], top: int) -> None:
    left, right = span
    for index, ((name, curve), color) in enumerate(zip(curves, (TRUE, PAINTED), strict=True)):
        x = np.linspace(left, right, len(curve))
        points = [(float(a), float(top + (1 - b) * CURVE_PX)) for a, b in zip(x, np.clip(curve, 0, 1), strict=True)]
        draw.line(points, color, 2)
        draw.text((MARGIN_PX, top + 18 * index), name, color, PIL.ImageFont.load_default(13))
    draw.text((MARGIN_PX, top + 40), "opening", INK, PIL.ImageFont.load_default(13))
