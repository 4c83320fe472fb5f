"""How well a whole clip's mouth and sound agree, and by how many frames one is late, as a SyncNet sees it."""

from dataclasses import dataclass
from fractions import Fraction

import torch

from .feature_extraction_diff2lip import Diff2LipFeatureExtractor
from .syncnet import MEL_STEPS, SYNC_FRAMES, SyncNet, sync_mel_windows

BATCH_SIZE = 64
# An offset is measured by no fewer pairs than this part of all.
LEAST_OVERLAP = 0.5


@dataclass(frozen=True)
class SyncScore:
    """What a clip looks like to a SyncNet.

    Attributes:
        offset_frames: how late the sound is: picture n fits the sound of picture n + `offset_frames` best.
        lse_c: how much better that offset is than others: median of the distances over all offsets, less the
            least (LSE-C).
        lse_d: of mouths and sounds at that offset, the mean, in [0, sqrt(2)] (LSE-D).

    Source: Chung and Zisserman, "Out of time", 2016, section 4.1; Prajwal et al., 2020, section 4.2.
    """

    offset_frames: int
    lse_c: float
    lse_d: float


def sync_score(
    syncnet: SyncNet, crops: torch.Tensor, mel: torch.Tensor, fps: float | Fraction = 25, max_offset: int = 15
) -> SyncScore:
    """Measures a clip.

    Vectors have length 1 here, so the numbers are smaller than those that papers print for the SyncNet of 2016; they
    compare clips, not papers.

    Args:
        syncnet: in evaluation mode.
        crops: (N, 3, S, S) face crops in [-1, 1], or uint8, one a frame.
        mel: (80, M) of the sound that starts with the first crop.
        fps: frames a second; SyncNets are trained at 25.
        max_offset: largest offset to look at, in frames; in short clips fewer, so that half of the clip overlaps.

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
    """Unit vectors of all mouths and sounds of a clip: of frames n to n + 4 and the sound that begins with frame n.

    Args:
        syncnet: the network.
        crops: (N, 3, S, S) in [-1, 1], or uint8.
        mel: (80, M).
        fps: frames a second.

    Returns:
        Two of (K, E) float32 on the CPU, K being N - 4, or fewer where the sound ends first.

    Raises:
        ValueError: if K is less than 2.
    """
    steps_a_frame = Fraction(80) / Fraction(fps).limit_denominator(1_000_000)
    complete = int((mel.shape[1] - MEL_STEPS) / steps_a_frame) + 1 if mel.shape[1] >= MEL_STEPS else 0
    count = min(len(crops) - SYNC_FRAMES + 1, complete)
    if count < 2:
        raise ValueError(
            f"`crops` has {len(crops)} frames and `mel` {mel.shape[1]} steps, expected {SYNC_FRAMES + 1} frames and"
            " their sound, or more"
        )
    extractor = Diff2LipFeatureExtractor()
    embeds = []
    for first in range(0, count, BATCH_SIZE):
        last = min(first + BATCH_SIZE, count)
        pictures = crops[first : last + SYNC_FRAMES - 1].to(syncnet.device)
        if not pictures.is_floating_point():
            pictures = pictures / 127.5 - 1
        faces = syncnet.face_input(pictures.unfold(0, SYNC_FRAMES, 1).movedim(-1, 1))
        windows = sync_mel_windows(mel, range(first, last), fps, extractor).to(syncnet.device)
        embeds.append([vectors.float().cpu() for vectors in syncnet(faces, windows)])
    faces, sounds = zip(*embeds, strict=True)
    return torch.cat(faces), torch.cat(sounds)


def offset_distances(face_embeds: torch.Tensor, audio_embeds: torch.Tensor, max_offset: int = 15) -> dict[int, float]:
    """Mean distance of mouth n and sound n + k for every offset k, over all n that have both.

    Args:
        face_embeds: (K, E).
        audio_embeds: (K, E).
        max_offset: largest k to either side, if half of the K overlap there.
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
    """The score that distances by offset make."""
    # Of equal ones, the offset nearest to none.
    offset = min(distances, key=lambda k: (distances[k], abs(k)))
    median = torch.tensor(list(distances.values()), dtype=torch.float64).quantile(0.5).item()
    return SyncScore(offset, median - distances[offset], distances[offset])
