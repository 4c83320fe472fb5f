"""A sheet of held-out frames: the source, the person's own speech, and other speech."""

from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import torch

from ..output_paths import hidden_folder_beside, writing
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from .held_out import HeldOutFrames

COLUMNS, SHOWN_PX, LABEL_PX = 8, 160, 90
ROW_NAMES = ("source", "own speech", "other speech")
PAPER, INK = (250, 250, 248), (40, 40, 40)


def chosen_frames(held_out: HeldOutFrames) -> list[int]:
    """Returns the numbers of the frames that a sheet shows, evenly spaced."""
    count = len(held_out.frames)
    return sorted(set(np.linspace(0, count - 1, min(COLUMNS, count)).round().astype(int).tolist()))


def write_preview(pipe: Diff2LipPipeline, held_out: HeldOutFrames, path: Path) -> None:
    """Writes a sheet of a model in training, whole or not at all.

    Raises:
        MediaError: if it cannot be written.
    """
    chosen = chosen_frames(held_out)
    speeches = (held_out.own_speech, held_out.other_speech[0])
    painted = [held_out.paint(pipe, mel_windows, chosen) for mel_windows in speeches]
    with writing(path), hidden_folder_beside(path) as hidden:
        part = Path(hidden) / path.name
        sheet([held_out.frames[chosen], *painted], ROW_NAMES).save(part)
        part.replace(path)


def sheet(rows: list[torch.Tensor], names: tuple[str, ...]) -> PIL.Image.Image:
    """Returns an image with a row for each batch of frames (N, 3, S, S) in [0, 1], enlarged, with its name."""
    side = max(1, SHOWN_PX // rows[0].shape[-1]) * rows[0].shape[-1]
    page = PIL.Image.new("RGB", (LABEL_PX + len(rows[0]) * side, len(rows) * side), PAPER)
    draw = PIL.ImageDraw.Draw(page)
    for row, (frames, name) in enumerate(zip(rows, names, strict=True)):
        draw.text((6, row * side + side // 2), name, INK, PIL.ImageFont.load_default(12))
        for column, frame in enumerate(frames):
            pixels = (frame * 255).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
            image = PIL.Image.fromarray(pixels).resize((side, side), PIL.Image.Resampling.NEAREST)
            page.paste(image, (LABEL_PX + column * side, row * side))
    return page
