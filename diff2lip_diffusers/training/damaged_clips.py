"""Damaged clips of a training set: samples of other clips take their place; training stops if there are too many."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch.utils.data import Dataset, default_collate

from ..errors import MediaError
from .training_set import TrainingSet

# One damaged clip never stops a run; more do if they are a larger part of the clips.
MAX_DAMAGED_PART = 0.1

logger = logging.getLogger(__name__)


class LoadedSamples(Dataset):
    """Samples as a data loader gets them, also in its processes: a sample that cannot be had is None, no error.

    Args:
        data: the training set.
    """

    def __init__(self, data: TrainingSet):
        self.data = data

    def __getitem__(self, number: int) -> dict[str, Any] | None:
        """Returns a sample, or None if too many clips are damaged to draw one."""
        try:
            return self.data[number]
        except MediaError:
            return None

    def __len__(self) -> int:
        """Returns the number of different samples."""
        return len(self.data)

    def collate(self, samples: list) -> tuple[dict | None, dict[int, str]]:
        """Returns a batch, or None if it lacks a sample; and the damaged clips that this process has met so far."""
        lacks = any(sample is None for sample in samples)
        return None if lacks else default_collate(samples), dict(self.data.damaged)


class DamagedClips:
    """The damaged clips that a run has met; each is named once, in a warning."""

    def __init__(self):
        self._reasons: dict[int, str] = {}

    def note(self, damaged: Mapping[int, str]) -> None:
        """Adds clips, by their index in the set, with what is wrong with them."""
        for index in damaged.keys() - self._reasons.keys():
            self._reasons[index] = damaged[index]
            logger.warning("skipped a damaged clip: %s", damaged[index])

    def are_too_many(self, num_clips: int) -> bool:
        """Whether training must stop."""
        return len(self._reasons) > max(1, MAX_DAMAGED_PART * num_clips)

    def error(self, num_clips: int) -> MediaError:
        """The error that ends a run."""
        first = self._reasons[min(self._reasons)]
        path, _, reason = first.partition(": ")
        count = f"{len(self._reasons)} of {num_clips} clips are damaged"
        return MediaError(path, f"{reason}; {count}; training stops, its checkpoint is saved")


@contextmanager
def skipping_damaged(data: TrainingSet, what: str) -> Iterator[None]:
    """Ends the block at a damaged clip of `data`, with a warning, instead of the run; `what` is missing then."""
    try:
        yield
    except MediaError as error:
        if not any(error.path in (clip.video, clip.speech) for clip in data.clips):
            raise
        logger.warning("no %s: %s", what, error)
