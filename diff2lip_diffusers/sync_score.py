"""Scores the sync of a whole clip with a SyncNet: audio offset, LSE-C and LSE-D."""

from dataclasses import dataclass
from fractions import Fraction

import torch

from .portable.feature_extraction_diff2lip import Diff2LipFeatureExtractor
from .syncnet import MEL_STEPS, SYNC_FRAMES, SyncNet, sync_mel_windows

BATCH_SIZE = 64
# An offset is measured only if at least this share of the clip overlaps.
LEAST_OVERLAP = 0.5


@dataclass(frozen=True)
class SyncScore:
    """The sync of a clip as a SyncNet measures it.

    Attributes:
        offset_frames: delay of the audio: frame n fits the audio of frame n + `offset_frames` best.
        lse_c: confidence (LSE-C), the median of the distances over all offsets minus the smallest distance.
        lse_d: distance (LSE-D), the mean distance of mouths and audio at that offset, in [0, sqrt(2)].

    Source: Chung and Zisserman, "Out of time", 2016, section 4.1; Prajwal et al., 2020, section 4.2.
    """

    offset_frames: int
    lse_c: float
    lse_d: float


def sync_score(
    syncnet: SyncNet, crops: torch.Tensor, mel: torch.Tensor, fps: float | Fraction = 25, max_offset: int = 15
) -> SyncScore:
    """Measures the sync of a clip.

    Vectors have length 1 here, so the numbers are smaller than those that papers report for the SyncNet of 2016. Use
    them to compare clips, not to compare with papers.

    Args:
        syncnet: the network, in evaluation mode.
        crops: (N, 3, S, S) face crops in [-1, 1], or uint8, one per frame.
        mel: (80, M) of the audio that starts with the first crop.
        fps: frames per second; SyncNets are trained at 25.
        max_offset: largest offset to try, in frames; less in short clips, so that half of the clip overlaps.

    Raises:
        ValueError: if `syncnet` is in training mode, `max_offset` negative, or the clip shorter than 6 frames.
    """
    if syncnet.training:
        raise ValueError("`syncnet` is in training mode, expected evaluation mode; call its eval()")
    if max_offset < 0:
        raise ValueError(f"`max_offset` is {max_offset}, expected 0 or more")
    face_embeds, audio_embeds = clip_embeds(syncnet, crops, mel, fps)
    return score_of_distances(offset_distances(face_embeds, audio_embeds, max_offset))


@torch.no_grad()
def clip_embeds(
    syncnet: SyncNet, crops: torch.Tensor, mel: torch.Tensor, fps: float | Fraction = 25
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the unit vectors of a clip: of the mouth in frames n to n + 4, and of the audio from frame n on.

    Args:
        syncnet: the network.
        crops: (N, 3, S, S) in [-1, 1], or uint8.
        mel: (80, M).
        fps: frames per second.

    Returns:
        Two tensors (K, E) float32 on the CPU. K is N - 4, or less if the audio ends first.

    Raises:
        ValueError: if K is less than 2.
    """
    steps_per_frame = Fraction(80) / Fraction(fps).limit_denominator(1_000_000)
    complete = int((mel.shape[1] - MEL_STEPS) / steps_per_frame) + 1 if mel.shape[1] >= MEL_STEPS else 0
    count = min(len(crops) - SYNC_FRAMES + 1, complete)
    if count < 2:
        raise ValueError(
            f"`crops` has {len(crops)} frames and `mel` {mel.shape[1]} steps, expected {SYNC_FRAMES + 1} frames and"
            " their audio, or more"
        )
    extractor = Diff2LipFeatureExtractor()
    embeds = []
    for first in range(0, count, BATCH_SIZE):
        last = min(first + BATCH_SIZE, count)
        frames = crops[first : last + SYNC_FRAMES - 1].to(syncnet.device)
        if not frames.is_floating_point():
            frames = frames / 127.5 - 1
        faces = syncnet.face_input(frames.unfold(0, SYNC_FRAMES, 1).movedim(-1, 1))
        windows = sync_mel_windows(mel, range(first, last), fps, extractor).to(syncnet.device)
        embeds.append([vectors.float().cpu() for vectors in syncnet(faces, windows)])
    face_embeds, audio_embeds = zip(*embeds, strict=True)
    return torch.cat(face_embeds), torch.cat(audio_embeds)


def offset_distances(face_embeds: torch.Tensor, audio_embeds: torch.Tensor, max_offset: int = 15) -> dict[int, float]:
    """Returns the mean distance of mouth n and audio n + k by offset k, over all n that have both.

    Args:
        face_embeds: (K, E).
        audio_embeds: (K, E).
        max_offset: largest k in both directions; less if fewer than half of the K would overlap.
    """
    count = len(face_embeds)
    reach = min(max_offset, int(count * (1 - LEAST_OVERLAP)))
    distances = {}
    for offset in range(-reach, reach + 1):
        first, last = max(0, -offset), count - max(0, offset)
        apart = face_embeds[first:last] - audio_embeds[first + offset : last + offset]
        distances[offset] = apart.double().norm(dim=-1).mean().item()
    return distances


def score_of_distances(distances: dict[int, float]) -> SyncScore:
    """Returns the score for distances by offset."""
    # Among equal distances, the smallest offset.
    offset = min(distances, key=lambda k: (distances[k], abs(k)))
    median = torch.tensor(list(distances.values()), dtype=torch.float64).quantile(0.5).item()
    return SyncScore(offset, median - distances[offset], distances[offset])
