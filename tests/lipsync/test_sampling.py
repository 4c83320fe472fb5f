from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from diff2lip_diffusers import Diff2LipPipeline, SyncOptions
from diff2lip_diffusers.lipsync.frame_tasks import FaceCrop, FrameTask
from diff2lip_diffusers.lipsync.sampling import paint_frames
from diff2lip_diffusers.lipsync.stage_timer import StageTimer

BATCH = 4


@dataclass(eq=False)
class Job:
    options: SyncOptions = SyncOptions(num_inference_steps=2)
    timer: StageTimer = field(default_factory=StageTimer)


@pytest.fixture
def batches(monkeypatch) -> list[np.ndarray]:
    """The crops that the pipeline gets, call by call."""
    seen = []
    paint = Diff2LipPipeline.__call__

    def recording(self, frames, **arguments):
        seen.append(frames)
        return paint(self, frames, **arguments)

    monkeypatch.setattr(Diff2LipPipeline, "__call__", recording)
    return seen


def tasks(job: Job, size: int, seed: int, count: int, faceless: tuple[int, ...] = ()) -> list[FrameTask]:
    noise = np.random.default_rng(seed)
    crops = noise.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    windows = noise.uniform(-4, 4, (count, 80, 16)).astype(np.float32)
    return [
        FrameTask(job, index, None, None, None if index in faceless else FaceCrop(None, crop, crop, window, crop))
        for index, (crop, window) in enumerate(zip(crops, windows, strict=True))
    ]


def faces_of(painted, job) -> np.ndarray:
    return np.stack([face for task, face in painted if task.job is job and face is not None])


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_neighbors_change_nothing_to_the_bit(tiny_pipe, eta):
    size = tiny_pipe.unet.config.sample_size
    job = Job(SyncOptions(num_inference_steps=2, eta=eta))
    own = tasks(job, size, 1, 5)
    alone = faces_of(paint_frames(tiny_pipe, own, BATCH), job)
    for before, after, seed in ((1, 4, 7), (2, 0, 8), (7, 3, 9)):
        other = Job(SyncOptions(num_inference_steps=2, eta=eta, seed=seed))
        mixed = [*tasks(other, size, 2, before), *own, *tasks(other, size, 3, after)]
        np.testing.assert_array_equal(faces_of(paint_frames(tiny_pipe, mixed, BATCH), job), alone)


def test_short_clips_share_full_batches(small_pipe, batches):
    jobs = [Job() for _ in range(6)]
    items = [item for job in jobs for item in (*tasks(job, 16, 1, 3), job)]
    painted = list(paint_frames(small_pipe, items, BATCH))
    assert [item for item, _ in painted] == items
    assert [len(crops) for crops in batches] == [BATCH] * 5
    assert all(job.timer.seconds["sample"] > 0 for job in jobs)


def test_the_last_batch_is_filled_up(small_pipe, batches):
    own = tasks(Job(), 16, 1, 6)
    painted = list(paint_frames(small_pipe, own, BATCH))
    assert [len(crops) for crops in batches] == [BATCH] * 2
    assert len(painted) == 6


def test_a_batch_beyond_the_clip_is_no_larger_than_the_clip(small_pipe, batches):
    job, longer = Job(), Job()
    clip = [replace(task, most_painted=6) for task in tasks(job, 16, 1, 6)]
    other = [replace(task, most_painted=9) for task in tasks(longer, 16, 2, 9)]
    alone = faces_of(paint_frames(small_pipe, clip, 1000), job)
    assert [len(crops) for crops in batches] == [6]
    batches.clear()
    beside = faces_of(paint_frames(small_pipe, [*other, *clip], 1000), job)
    assert [len(crops) for crops in batches] == [9, 6]
    np.testing.assert_array_equal(alone, beside)


def test_the_default_batch_is_always_full(small_pipe, batches):
    clip = [replace(task, most_painted=2) for task in tasks(Job(), 16, 1, 2)]
    list(paint_frames(small_pipe, clip, BATCH))
    assert [len(crops) for crops in batches] == [BATCH]


def test_other_settings_are_sampled_apart(small_pipe, batches):
    jobs = [Job(SyncOptions(num_inference_steps=steps)) for steps in (1, 1, 2)]
    painted = list(paint_frames(small_pipe, [item for job in jobs for item in tasks(job, 16, 1, 2)], BATCH))
    assert len(painted) == 6
    assert len(batches) == 2


def test_each_job_has_the_noise_of_its_seed(small_pipe):
    jobs = [Job(SyncOptions(num_inference_steps=1, seed=seed)) for seed in (7, 8, 7)]
    painted = list(paint_frames(small_pipe, [item for job in jobs for item in tasks(job, 16, 1, 2)], BATCH))
    first, second, third = (faces_of(painted, job) for job in jobs)
    np.testing.assert_array_equal(first, third)
    assert np.abs(first - second).max() > 0.01


def test_frames_without_a_face_wait_for_a_bounded_time(small_pipe):
    job, num_tasks = Job(), 0

    def endless():
        nonlocal num_tasks
        for task in tasks(job, 16, 1, 100, faceless=tuple(range(1, 100))):
            num_tasks += 1
            yield task

    painted = paint_frames(small_pipe, endless(), BATCH)
    assert next(painted)[1] is not None
    assert num_tasks <= 2 * BATCH
    assert all(face is None for _, face in painted)


def test_what_has_nothing_to_paint_passes_at_once(small_pipe, batches):
    taken = []
    items = (taken.append(name) or name for name in "abc")
    assert next(paint_frames(small_pipe, items, BATCH)) == ("a", None)
    assert taken == ["a"]
    assert not batches
