"""How often a SyncNet tells windows that are in sync from windows that are off."""

from dataclasses import dataclass

import numpy as np
import torch

from ..sync_score import SyncScore, sync_score
from ..syncnet import SYNC_FRAMES, SyncNet, sync_mel_windows, sync_probability
from .sync_windows import is_silent
from .training_clips import clip_spectrogram
from .training_set import TrainingSet

LEAST_OFFSET = SYNC_FRAMES
# Of the sounds that are off sync, so many are taken from the clip itself.
SAME_CLIP = 0.75
BATCH_SIZE = 64


@dataclass(frozen=True)
class SyncPairs:
    """What a SyncNet thinks of P windows: each once with its own sound, once with another.

    Attributes:
        in_sync: (P,) similarity with the own sound, in [0, 1].
        off_sync: (P,) with one of the same clip, 5 frames off or more, or of another clip.
        tellable: (P,) bool, whether at least one of the two sounds is not silence.
    """

    in_sync: torch.Tensor
    off_sync: torch.Tensor
    tellable: torch.Tensor

    def only_tellable(self) -> "SyncPairs":
        """Those of which one sound at least is not silence."""
        chosen = self.tellable
        return SyncPairs(self.in_sync[chosen], self.off_sync[chosen], self.tellable[chosen])


@dataclass(frozen=True)
class SyncAccuracy:
    """How often a SyncNet is right.

    Attributes:
        accuracy: share of windows rightly called in sync or off sync, half of them being in sync.
        choice: share of windows to which the own sound is nearer than the other one.
        pairs: number of windows.
    """

    accuracy: float
    choice: float
    pairs: int


def sync_accuracy(pairs: SyncPairs, threshold: float = 0.5) -> SyncAccuracy:
    """The accuracy when windows of a similarity above `threshold` are called in sync."""
    right = (pairs.in_sync > threshold).float() + (pairs.off_sync <= threshold).float()
    nearer = (pairs.in_sync > pairs.off_sync).float()
    return SyncAccuracy(right.mean().item() / 2, nearer.mean().item(), len(pairs.in_sync))


def best_threshold(pairs: SyncPairs) -> float:
    """The threshold, one of the similarities, that makes the accuracy highest."""
    values, order = torch.cat([pairs.in_sync, pairs.off_sync]).sort()
    is_off = (order >= len(pairs.in_sync)).long()
    # Calling all up to number k off sync is right for those that are, and wrong for those in sync.
    right = (2 * is_off - 1).cumsum(0)
    # Equal similarities cannot be parted.
    right[:-1][values[:-1] == values[1:]] = -len(values)
    return values[right.argmax()].item()


@torch.no_grad()
def measure_pairs(syncnet: SyncNet, data: TrainingSet, seed: int = 0) -> SyncPairs:
    """Every fifth window of all clips of a set, with its own sound and with one drawn from elsewhere.

    Args:
        syncnet: in evaluation mode.
        data: whose clips are looked at, without augmentation.
        seed: decides the other sounds.
    """
    rng = np.random.default_rng(seed)
    found = []
    for index in range(len(data.clips)):
        starts, others = _draw_sounds(rng, data, index)
        for first in range(0, len(starts), BATCH_SIZE):
            chosen = slice(first, first + BATCH_SIZE)
            found.append(_similarities(syncnet, data, index, starts[chosen], others[chosen]))
    return SyncPairs(*(torch.cat(column) for column in zip(*found, strict=True)))


def clip_score(syncnet: SyncNet, data: TrainingSet, index: int) -> SyncScore:
    """The score of one clip of a set, the sound of which is looked for 15 frames to either side."""
    clip = data.clips[index]
    mel = clip_spectrogram(clip, data.extractor)
    return sync_score(syncnet, data.sized(data.read(index, 0, clip.frames)), mel, clip.fps)


def _draw_sounds(rng: np.random.Generator, data: TrainingSet, index: int) -> tuple[list[int], list[tuple[int, int]]]:
    """The first frames of a clip's windows, and for each a clip and frame that it does not belong to."""
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
    pictures = data.sized(data.read(index, starts[0], starts[-1] - starts[0] + SYNC_FRAMES))
    crops = pictures.unflatten(0, (-1, SYNC_FRAMES)).to(syncnet.device)
    faces = syncnet.encode_faces(syncnet.face_input(crops))
    own, own_silent = _sounds(data, [(index, start) for start in starts])
    other, other_silent = _sounds(data, others)
    in_sync, off_sync = (
        sync_probability(faces, syncnet.encode_mel(mel.to(syncnet.device))).cpu() for mel in (own, other)
    )
    return in_sync, off_sync, ~(own_silent & other_silent)


def _sounds(data: TrainingSet, places: list[tuple[int, int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Mel windows (N, 1, 80, 16) that begin at frames of clips, and which are silent beside the rest of their clip."""
    windows, silent = [], []
    for index, start in places:
        clip = data.clips[index]
        mel = clip_spectrogram(clip, data.extractor)
        every = sync_mel_windows(mel, [start, *range(0, clip.frames, SYNC_FRAMES)], clip.fps, data.extractor)
        windows.append(every[0])
        silent.append(is_silent(every[:, 0])[0])
    return torch.stack(windows), torch.stack(silent)
