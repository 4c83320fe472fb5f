"""Measures how often a SyncNet tells windows in sync from windows off sync."""

from dataclasses import dataclass

import numpy as np
import torch

from ..sync_score import SyncScore, sync_score
from ..syncnet import SYNC_FRAMES, SyncNet, sync_mel_windows, sync_probability
from .sync_windows import is_silent
from .training_clips import clip_spectrogram
from .training_set import TrainingSet

LEAST_OFFSET = SYNC_FRAMES
# Share of the off-sync audio that is from the same clip.
SAME_CLIP = 0.75
BATCH_SIZE = 64


@dataclass(frozen=True)
class SyncPairs:
    """A SyncNet's similarities for P windows, once with their own audio and once with other audio.

    Attributes:
        in_sync: (P,) similarity with the own audio, in [0, 1].
        off_sync: (P,) similarity with audio of the same clip, 5 frames away or more, or of another clip.
        tellable: (P,) bool, whether at least one of the two pieces of audio is not silent.
    """

    in_sync: torch.Tensor
    off_sync: torch.Tensor
    tellable: torch.Tensor

    def only_tellable(self) -> "SyncPairs":
        """Returns the pairs in which at least one piece of audio is not silent."""
        chosen = self.tellable
        return SyncPairs(self.in_sync[chosen], self.off_sync[chosen], self.tellable[chosen])


@dataclass(frozen=True)
class SyncAccuracy:
    """How often a SyncNet is right.

    Attributes:
        accuracy: share of correct decisions between in sync and off sync; half of the pairs are in sync.
        choice: share of windows whose own audio is nearer than the other audio.
        pairs: number of windows.
    """

    accuracy: float
    choice: float
    pairs: int


def sync_accuracy(pairs: SyncPairs, threshold: float = 0.5) -> SyncAccuracy:
    """Returns the accuracy if pairs with a similarity above `threshold` are called in sync."""
    right = (pairs.in_sync > threshold).float() + (pairs.off_sync <= threshold).float()
    nearer = (pairs.in_sync > pairs.off_sync).float()
    return SyncAccuracy(right.mean().item() / 2, nearer.mean().item(), len(pairs.in_sync))


def best_threshold(pairs: SyncPairs) -> float:
    """Returns the threshold with the highest accuracy; it is one of the similarities."""
    values, order = torch.cat([pairs.in_sync, pairs.off_sync]).sort()
    is_off = (order >= len(pairs.in_sync)).long()
    # With a threshold at value k, the off-sync pairs up to k are right and the in-sync ones are wrong.
    right = (2 * is_off - 1).cumsum(0)
    # No threshold is between equal similarities.
    right[:-1][values[:-1] == values[1:]] = -len(values)
    return values[right.argmax()].item()


@torch.no_grad()
def measure_pairs(syncnet: SyncNet, data: TrainingSet, seed: int = 0) -> SyncPairs:
    """Measures every fifth window of all clips, with its own audio and with audio from another place.

    Args:
        syncnet: the network, in evaluation mode.
        data: the clips, without augmentation.
        seed: decides the other audio.
    """
    rng = np.random.default_rng(seed)
    found = []
    for index in range(len(data.clips)):
        starts, others = _draw_off_sync(rng, data, index)
        for first in range(0, len(starts), BATCH_SIZE):
            chosen = slice(first, first + BATCH_SIZE)
            found.append(_similarities(syncnet, data, index, starts[chosen], others[chosen]))
    return SyncPairs(*(torch.cat(column) for column in zip(*found, strict=True)))


def clip_score(syncnet: SyncNet, data: TrainingSet, index: int) -> SyncScore:
    """Returns the sync score of one clip of a set, with offsets of up to 15 frames."""
    clip = data.clips[index]
    mel = clip_spectrogram(clip, data.extractor)
    return sync_score(syncnet, data.sized(data.read(index, 0, clip.frames)), mel, clip.fps)


def _draw_off_sync(rng: np.random.Generator, data: TrainingSet, index: int) -> tuple[list[int], list[tuple[int, int]]]:
    """Draws audio that is off sync: returns the first frames of a clip's windows, and a clip and frame for each."""
    places = data.clips[index].frames - SYNC_FRAMES + 1
    starts = list(range(0, places, SYNC_FRAMES))
    others = []
    for start in starts:
        off = [place for place in range(places) if abs(place - start) >= LEAST_OFFSET]
        if off and (len(data.clips) == 1 or rng.random() < SAME_CLIP):
            others.append((index, off[rng.integers(len(off))]))
        elif len(data.clips) > 1:
            other = (index + 1 + int(rng.integers(len(data.clips) - 1))) % len(data.clips)
            others.append((other, int(rng.integers(data.clips[other].frames - SYNC_FRAMES + 1))))
    return starts[: len(others)], others


def _similarities(
    syncnet: SyncNet, data: TrainingSet, index: int, starts: list[int], others: list[tuple[int, int]]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    frames = data.sized(data.read(index, starts[0], starts[-1] - starts[0] + SYNC_FRAMES))
    crops = frames.unflatten(0, (-1, SYNC_FRAMES)).to(syncnet.device)
    faces = syncnet.encode_faces(syncnet.face_input(crops))
    own, own_silent = _audio(data, [(index, start) for start in starts])
    other, other_silent = _audio(data, others)
    in_sync, off_sync = (
        sync_probability(faces, syncnet.encode_mel(mel.to(syncnet.device))).cpu() for mel in (own, other)
    )
    return in_sync, off_sync, ~(own_silent & other_silent)


def _audio(data: TrainingSet, places: list[tuple[int, int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns mel windows (N, 1, 80, 16) from frames of clips on, and which of them are silent within their clip."""
    windows, silent = [], []
    for index, start in places:
        clip = data.clips[index]
        mel = clip_spectrogram(clip, data.extractor)
        every = sync_mel_windows(mel, [start, *range(0, clip.frames, SYNC_FRAMES)], clip.fps, data.extractor)
        windows.append(every[0])
        silent.append(is_silent(every[:, 0])[0])
    return torch.stack(windows), torch.stack(silent)
