"""Writes previews of a run: painted mouths on clips that it is not trained on."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch

from ..media.video_writer import VideoWriter
from ..output_paths import writing
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from .training_set import TrainingSet

GRID_ROWS, VIDEO_FRAMES, BATCH, SEED = 4, 25, 5, 7
SHOWN_PX = 128


def write_previews(pipe: Diff2LipPipeline, data: TrainingSet, folder: str | Path, step: int) -> None:
    """Writes `step-N.png`, a grid of several clips, and `step-N.mp4`, the first second of one clip.

    Each row of the grid has masked frame, reference, result and truth. The video has result and truth side by side,
    with audio.

    Args:
        pipe: paints the frames, with its own scheduler and steps.
        data: clips without augmentation; the last frame of each is the reference.
        folder: folder to write to.
        step: number in the file names.

    Raises:
        MediaError: if a file cannot be written.
    """
    folder = Path(folder)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    chosen = np.linspace(0, len(data.clips) - 1, min(GRID_ROWS, len(data.clips))).astype(int)
    name = folder / f"step-{step:08d}"
    with sampling_at(pipe, data.size_px):
        rows = [_grid_row(pipe, data, int(index)) for index in chosen]
        with writing(name):
            PIL.Image.fromarray(np.concatenate(rows)).save(name.with_suffix(".png"))
        _write_video(pipe, data, name.with_suffix(".mp4"))


@contextmanager
def sampling_at(pipe: Diff2LipPipeline, size_px: int) -> Iterator[None]:
    """Gives the pipeline the size of the crops for the time of the block."""
    own, was_training = pipe.unet.config.sample_size, pipe.unet.training
    pipe.unet.register_to_config(sample_size=size_px)
    pipe.unet.eval()
    try:
        yield
    finally:
        pipe.unet.register_to_config(sample_size=own)
        pipe.unet.train(was_training)


def _grid_row(pipe: Diff2LipPipeline, data: TrainingSet, index: int) -> np.ndarray:
    middle = data.clips[index].frames // 2
    frames, references, painted = _painted(pipe, data, index, middle, 1)
    mask = pipe.painted_mask()[0].float()
    return np.concatenate([_shown(one) for one in (frames[0] * (1 - mask), references[0], painted[0], frames[0])], 1)


def _write_video(pipe: Diff2LipPipeline, data: TrainingSet, path: Path) -> None:
    clip = data.clips[0]
    size = _shown_px(data.size_px)
    with VideoWriter(path, width=2 * size, height=size, fps=clip.fps, audio=clip.speech) as writer:
        total = min(VIDEO_FRAMES, clip.frames)
        for start in range(0, total, BATCH):
            frames, _, painted = _painted(pipe, data, 0, start, min(BATCH, total - start))
            for one, truth in zip(painted, frames, strict=True):
                writer.write(np.concatenate([_shown(one), _shown(truth)], 1))


def _painted(
    pipe: Diff2LipPipeline, data: TrainingSet, index: int, start: int, count: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns frames of a clip, its reference and the result, (N, 3, S, S) in [0, 1]."""
    clip = data.clips[index]
    frames, references = (
        (data.sized(data.read(index, *part)) + 1) / 2 for part in ((start, count), (clip.frames - 1, 1))
    )
    output: Any = pipe(
        frames,
        mel_windows=data.mel(index, start, count)["mel_windows"],
        reference_frames=references,
        generator=torch.Generator().manual_seed(SEED),
        output_type="pt",
    )
    return frames, references, output.frames.cpu()


def _shown_px(size_px: int) -> int:
    return size_px * max(1, SHOWN_PX // size_px)


def _shown(frame: torch.Tensor) -> np.ndarray:
    """Returns a frame (3, S, S) in [0, 1] as (H, W, 3) uint8; small frames are enlarged."""
    times = _shown_px(frame.shape[-1]) // frame.shape[-1]
    pixels = (frame * 255).round().byte().permute(1, 2, 0).numpy()
    return pixels.repeat(times, axis=0).repeat(times, axis=1)
