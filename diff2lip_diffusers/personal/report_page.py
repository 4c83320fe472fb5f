"""The report of a personal model: one HTML page that needs no other file."""

import base64
import io
from collections.abc import Sequence
from html import escape

import PIL.Image

from .base_weights import BaseWeights
from .held_out import STEPS, HeldOutFrames
from .material import Material
from .preview_sheet import chosen_frames, sheet
from .progress_file import Evaluation
from .results import PaintedRows, PersonalResults

STYLE = """
:root { --ink: #23303b; --soft: #64727e; --line: #dfe4e8; }
body { margin: 0 auto; padding: 2rem 1.5rem 4rem; max-width: 90rem; color: var(--ink); background: #f6f7f9;
  font: 15px/1.45 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .8rem; }
p { color: var(--soft); max-width: 60rem; }
img { max-width: 100%; image-rendering: pixelated; border: 1px solid var(--line); }
table { border-collapse: collapse; background: #fff; }
td, th { padding: .3rem 1.2rem; border: 1px solid var(--line); text-align: right; }
td:first-child, th:first-child { text-align: left; }
svg { background: #fff; border: 1px solid var(--line); }
"""
CURVE_WIDTH, CURVE_HEIGHT, CURVE_MARGIN = 720, 180, 30
ROWS = ("source", "before", "own speech", "other speech")


def report_page(
    base: BaseWeights,
    material: Material,
    results: PersonalResults,
    painted: PaintedRows,
    held_out: HeldOutFrames,
    evaluations: Sequence[Evaluation],
) -> str:
    """Returns the page.

    Args:
        base: the weights that the model was trained from.
        material: what it was trained on.
        results: what was measured.
        painted: the held-out frames.
        held_out: their truth.
        evaluations: of the run, in order.
    """
    chosen = chosen_frames(held_out)
    rows = [held_out.frames, painted.before, painted.own_speech, painted.other_speech]
    image = _as_png(sheet([frames[chosen] for frames in rows], ROWS))
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f"<title>A personal model</title>\n<style>{STYLE}</style>\n</head>\n<body>",
            "<h1>A model of one person</h1>",
            f"<p>Trained on {material.trained_s:.1f} s of video for {results.minutes:.0f} minutes"
            f" ({results.steps} steps; the best weights are those of step {results.step}), from the weights"
            f" <code>{escape(base.name)}</code>. The face in the videos has {material.face_px:.0f} pixels, the model"
            f" {base.size_px}.</p>",
            "<h2>Frames that it was not trained on</h2>",
            "<p>The mouth should say the same in the rows source and own speech. With other speech, it should be as"
            " lifelike, but say something else.</p>",
            f'<img alt="held-out frames" src="data:image/png;base64,{image}">',
            "<h2>Numbers</h2>",
            f"<p>Measured on {results.num_frames} frames with DPM-Solver++ and {STEPS} steps. A mouth follows the"
            " truth if its dark inside grows and shrinks in the same frames.</p>",
            _table(results),
            "<h2>The course of the training</h2>",
            "<p>PSNR of the held-out mouths in dB, at each evaluation.</p>",
            _curve(evaluations),
            "</body>\n</html>\n",
        ]
    )


def _table(results: PersonalResults) -> str:
    rows = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in results.table())
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table><tr><th></th><th>before</th><th>after</th></tr>{body}</table>"


def _curve(evaluations: Sequence[Evaluation]) -> str:
    """A line through the PSNR of all evaluations, as SVG."""
    values = [one.score.psnr_db for one in evaluations]
    low, high, last = min(values), max(values), max(1, evaluations[-1].step)
    inner_width, inner_height = CURVE_WIDTH - 2 * CURVE_MARGIN, CURVE_HEIGHT - 2 * CURVE_MARGIN
    points = [
        (
            CURVE_MARGIN + one.step / last * inner_width,
            CURVE_MARGIN + (high - value) / max(high - low, 1e-6) * inner_height,
        )
        for one, value in zip(evaluations, values, strict=True)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    labels = "".join(
        f'<text x="{x:.1f}" y="{y - 6:.1f}" font-size="10" text-anchor="middle" fill="#64727e">{value:.1f}</text>'
        for (x, y), value in zip(points, values, strict=True)
    )
    axis = f'<text x="{CURVE_MARGIN}" y="{CURVE_HEIGHT - 6}" font-size="10" fill="#64727e">0 to {last} steps</text>'
    polyline = f'<polyline points="{line}" fill="none" stroke="#1d5f99" stroke-width="2"/>'
    return f'<svg width="{CURVE_WIDTH}" height="{CURVE_HEIGHT}">{polyline}{labels}{axis}</svg>'


def _as_png(image: PIL.Image.Image) -> str:
    memory = io.BytesIO()
    image.save(memory, "PNG")
    return base64.b64encode(memory.getvalue()).decode()
