"""Shots of one job after another through the model, in full batches.

A frame's result must not depend on who shares its batch. Rounding does depend on the number of crops (other blocks in
matrix products), but neither on their place nor on their neighbours; so batches that are not full are filled up.
"""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np
import torch

from ..pipeline_diff2lip import Diff2LipPipeline
from .job import FrameTask

DEFAULT_BATCH_CPU, DEFAULT_BATCH_GPU = 4, 32
# So many batches of frames wait at most, painted or not, for a batch to fill.
WAITING_BATCHES = 2

Item = TypeVar("Item")


def default_batch_size(pipe: Diff2LipPipeline) -> int:
    """How many crops the pipeline's device likes at a time."""
    return DEFAULT_BATCH_CPU if pipe._execution_device.type == "cpu" else DEFAULT_BATCH_GPU


def paint_frames(
    pipe: Diff2LipPipeline, items: Iterable[FrameTask | Item], batch_size: int
) -> Iterator[tuple[FrameTask | Item, np.ndarray | None]]:
    """Each item with its painted face (S, S, 3) float32 in [0, 1]; None where nothing is painted. Order is kept.

    Args:
        pipe: paints.
        items: tasks of any jobs, and what else is to be passed through.
        batch_size: crops at a time, always exactly so many.
    """
    waiting: list[FrameTask | Item] = []
    chosen: list[FrameTask] = []
    for item in items:
        is_chosen = isinstance(item, FrameTask) and item.crop is not None
        if is_chosen and chosen and _settings(item) != _settings(chosen[0]):
            yield from _painted(pipe, waiting, chosen, batch_size)
            waiting, chosen = [], []
        waiting.append(item)
        if is_chosen:
            chosen.append(item)
        if not chosen or len(chosen) == batch_size or len(waiting) >= WAITING_BATCHES * batch_size:
            yield from _painted(pipe, waiting, chosen, batch_size)
            waiting, chosen = [], []
    yield from _painted(pipe, waiting, chosen, batch_size)


def _settings(task: FrameTask) -> tuple:
    """What tasks must share to be sampled together."""
    return task.job.options.num_inference_steps, task.job.options.eta


def _painted(pipe: Diff2LipPipeline, waiting: list, chosen: list[FrameTask], batch_size: int) -> Iterator[tuple]:
    faces = iter(_sample(pipe, chosen, batch_size) if chosen else ())
    for item in waiting:
        painted = isinstance(item, FrameTask) and item.crop is not None
        yield item, next(faces) if painted else None


def _sample(pipe: Diff2LipPipeline, tasks: list[FrameTask], batch_size: int) -> np.ndarray:
    """Painted crops (N, S, S, 3) float32 in [0, 1]."""
    start = time.perf_counter()
    full = tasks + [tasks[-1]] * (batch_size - len(tasks))
    options = tasks[0].job.options
    painted = pipe(
        np.stack([task.crop for task in full]),
        mel_windows=torch.stack([torch.as_tensor(task.mel_window) for task in full]),
        reference_frames=np.stack([task.reference for task in full]),
        num_inference_steps=options.num_inference_steps,
        # All frames of a job share one noise image.
        generator=[torch.Generator().manual_seed(task.job.options.seed) for task in full],
        eta=options.eta,
        output_type="np",
    ).frames[: len(tasks)]
    share_s = (time.perf_counter() - start) / len(tasks)
    for task in tasks:
        task.job.timer.add("sample", share_s)
    return painted
