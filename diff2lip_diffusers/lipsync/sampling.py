"""Samples the tasks of all jobs in full batches.

A frame's result must not depend on who shares its batch. Rounding depends on the number of crops in a batch (matrix
products are split into other blocks), but not on their order or neighbors; so batches that are not full are filled up.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
import torch

from ..errors import Diff2LipError
from ..portable.frames_diff2lip import uploaded
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from .frame_tasks import FaceCrop, FrameTask
from .painted_faces import Face, downloaded

DEFAULT_BATCH_CPU, DEFAULT_BATCH_GPU = 4, 32
# At most this many batches of frames, painted or not, wait until a batch is full.
WAITING_BATCHES = 2

Item = TypeVar("Item")
CropOfTask = tuple[FrameTask, FaceCrop]


def default_batch_size(pipe: Diff2LipPipeline) -> int:
    """How many crops at a time suit the pipeline's device."""
    return _suiting(pipe._execution_device)


def _suiting(device: torch.device) -> int:
    return DEFAULT_BATCH_CPU if device.type == "cpu" else DEFAULT_BATCH_GPU


def paint_frames(
    pipe: Diff2LipPipeline,
    items: Iterable[FrameTask | Item],
    batch_size: int,
    callback_on_step_end: Callable | None = None,
) -> Iterator[tuple[FrameTask | Item, Face | None]]:
    """Yields each item with its painted face (S, S, 3) float32 in [0, 1]; None where nothing is painted. Keeps order.

    Faces that a GPU paints may still be on their way: `numpy.asarray` waits for one.

    Args:
        pipe: the pipeline that paints.
        items: tasks of any jobs, and other objects, which are passed through.
        batch_size: crops at a time, always exactly so many, but for clips that have fewer.
        callback_on_step_end: called after each step, as in a call of the pipeline.
    """
    waiting: list[FrameTask | Item] = []
    chosen: list[CropOfTask] = []
    device = pipe._execution_device  # once: it is looked for in all modules
    full, useful = batch_size, _suiting(device)
    sample = partial(_sample, pipe, device, _step_end(callback_on_step_end))
    for item in items:
        to_paint = _crop_of(item)
        if to_paint:
            size = _useful_batch(to_paint, batch_size, useful)
            if chosen and (_settings(to_paint), size) != (_settings(chosen[0]), full):
                yield from _painted(sample, waiting, chosen, full)
                waiting, chosen = [], []
            chosen.append(to_paint)
            full = size
        waiting.append(item)
        if not chosen or len(chosen) == full or len(waiting) >= WAITING_BATCHES * full:
            yield from _painted(sample, waiting, chosen, full)
            waiting, chosen = [], []
    yield from _painted(sample, waiting, chosen, full)


def _useful_batch(chosen: CropOfTask, batch_size: int, default: int) -> int:
    """How many crops at a time suit a clip: a batch beyond the default one is no larger than the clip."""
    most = chosen[0].most_painted
    return batch_size if most is None else min(batch_size, max(default, most))


def _crop_of(item: object) -> CropOfTask | None:
    """A task with its crop; None for anything that is not to be painted."""
    return (item, item.crop) if isinstance(item, FrameTask) and item.crop is not None else None


def _settings(chosen: CropOfTask) -> tuple:
    """What tasks must share to be sampled together."""
    options = chosen[0].sampling
    return options.num_inference_steps, options.eta, options.guidance_scale, options.guidance_rescale


def _painted(
    sample: Callable[[list[CropOfTask], int], Sequence[Face]],
    waiting: list,
    chosen: list[CropOfTask],
    batch_size: int,
) -> Iterator[tuple]:
    """Yields what waits with its faces, and empties both lists on the way, so that frames go as they are written."""
    faces = iter(sample(chosen, batch_size) if chosen else ())
    chosen.clear()
    waiting.reverse()
    while waiting:
        item = waiting.pop()
        yield item, next(faces) if _crop_of(item) else None


def _step_end(end_step: Callable | None) -> Callable:
    """What the pipeline calls after each step: the caller's function, then the look at whether to stop."""

    def end(pipe: Diff2LipPipeline, step: int, timestep: torch.Tensor, tensors: dict) -> dict:
        replaced = end_step(pipe, step, timestep, tensors) if end_step is not None else None
        if pipe.interrupt:
            raise Diff2LipError("interrupted (`pipe._interrupt` was set); nothing was written")
        return replaced or {}

    return end


def _sample(
    pipe: Diff2LipPipeline, device: torch.device, end_step: Callable, chosen: list[CropOfTask], batch_size: int
) -> Sequence[Face]:
    """Painted crops, each (S, S, 3) float32 in [0, 1]."""
    start = time.perf_counter()
    full = chosen + [chosen[-1]] * (batch_size - len(chosen))
    options = chosen[0][0].sampling
    resized, references = (
        _stacked(crops, device) for crops in ([crop.resized for _, crop in full], [crop.reference for _, crop in full])
    )
    output = pipe(
        resized,
        mel_windows=torch.stack([torch.as_tensor(crop.mel_window) for _, crop in full]),
        reference_frames=references,
        num_inference_steps=options.num_inference_steps,
        # All frames of a job share one noise image.
        generator=[torch.Generator().manual_seed(task.sampling.seed) for task, _ in full],
        eta=options.eta,
        guidance_scale=options.guidance_scale,
        guidance_rescale=options.guidance_rescale,
        output_type="pt" if device.type == "cuda" else "np",
        callback_on_step_end=end_step,
    )
    # The pipeline is annotated to return a tuple or an output, as pipelines are.
    painted = downloaded(output.frames[: len(chosen)])  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]
    share_s = (time.perf_counter() - start) / len(chosen)
    for task, _ in chosen:
        task.job.timer.add("sample", share_s)
    return painted


def _stacked(crops: list[np.ndarray], device: torch.device) -> np.ndarray | torch.Tensor:
    """Crops (N, S, S, 3) uint8 in one array; on a GPU, a tensor (N, 3, S, S) there."""
    stacked = np.stack(crops)
    return uploaded(torch.from_numpy(stacked), device).permute(0, 3, 1, 2) if device.type == "cuda" else stacked
