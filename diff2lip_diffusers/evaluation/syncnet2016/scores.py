"""LSE-D, LSE-C and offset of one clip by the SyncNet of 2016: windows, embeddings, distances over shifts.

Letters in shapes: N windows, E = 1024, v the largest shift, S samples.
"""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from .median_filter import median_filter
from .mfcc import SAMPLING_RATE, mfcc
from .network import EMBED_DIM, MFCC_STEPS, WINDOW_FRAMES, SyncNet2016

FPS = 25
SAMPLES_PER_FRAME = SAMPLING_RATE // FPS
MFCC_STEPS_PER_FRAME = 4
# All scripts of the original shift by up to so many frames.
MAX_SHIFT = 15
# Windows embedded at a time: changes memory and rounding, nothing else.
FACE_BATCH, SPEECH_BATCH = 10, 20
# Distances computed at a time.
DISTANCE_BLOCK = 256
# Added to every component of a difference.
DISTANCE_EPSILON = 1e-6
CONFIDENCE_TAPS = 9


@dataclass(frozen=True)
class Syncnet2016Score:
    """Sync of one clip as papers print it.

    Shifts that compare nothing but silence of the padding count too, as in the original. Clips of fewer windows than
    the largest shift therefore get meaningless numbers, and short clips biased ones.

    Attributes:
        offset_frames: positive where the speech leads: frame i fits the speech of frame i - `offset_frames` best.
            ([`SyncScore`] of our own SyncNet has the opposite sign.)
        lse_c: median of the mean distances over all shifts, less the least of them; 0 or more, higher is better.
        lse_d: least mean distance over all shifts; 0 or more, lower is better.
        num_windows: windows of 5 frames that were compared.
        mean_distances: at offsets -v to v, 2 v + 1 numbers.
        frame_confidence: for each window, how far its distance at the best shift is below the median, smoothed.

    Source: Chung and Zisserman, "Out of time", 2016, section 4.1; Prajwal et al., "A Lip Sync Expert Is All You
        Need", 2020, section 4.2 (LSE); SYNCNET2016 section 3.
    """

    offset_frames: int
    lse_c: float
    lse_d: float
    num_windows: int
    mean_distances: tuple[float, ...]
    frame_confidence: tuple[float, ...]


class FaceEmbedder:
    """Embeds the windows of frames that come one after another; holds 14 frames at most.

    Args:
        syncnet: in evaluation mode.

    Raises:
        ValueError: if `syncnet` is in training mode.
    """

    def __init__(self, syncnet: SyncNet2016):
        _check_mode(syncnet)
        self._syncnet = syncnet
        self._frames: list[np.ndarray] = []
        self._embeds: list[torch.Tensor] = []
        self.num_frames = 0

    def add(self, frame: np.ndarray) -> None:
        """Takes the next frame, uint8 BGR (224, 224, 3)."""
        self._frames.append(frame)
        self.num_frames += 1
        if len(self._frames) == FACE_BATCH + WINDOW_FRAMES - 1:
            self._embed()

    def embeds(self) -> torch.Tensor:
        """Returns (N, E) float32 on the CPU for the frames so far, N being 4 less than these."""
        if len(self._frames) >= WINDOW_FRAMES:
            self._embed()
        return torch.cat([torch.zeros(0, EMBED_DIM), *self._embeds])

    def _embed(self) -> None:
        with _exact():
            frames = torch.from_numpy(np.stack(self._frames)).to(_device(self._syncnet))
            self._embeds.append(self._syncnet.embed_frames(frames).float().cpu())
        self._frames = self._frames[1 - WINDOW_FRAMES :]


def embed_speech(syncnet: SyncNet2016, samples: np.ndarray, num_windows: int | None = None) -> torch.Tensor:
    """Embeds the speech of each frame: 0.2 s that begin with the frame.

    Args:
        syncnet: in evaluation mode.
        samples: (S,) int16 at 16 kHz from the beginning of frame 0 on.
        num_windows: N; by default all that are complete.

    Returns:
        (N, E) float32 on the CPU.

    Raises:
        ValueError: if `syncnet` is in training mode, or `samples` is no int16 or too short.

    Source: SYNCNET2016 section 2.
    """
    _check_mode(syncnet)
    if samples.dtype != np.int16:
        raise ValueError(f"`samples` is {samples.dtype}, expected raw int16 values")
    coefficients = torch.from_numpy(mfcc(samples).T.astype(np.float32))
    complete = (coefficients.shape[1] - MFCC_STEPS) // MFCC_STEPS_PER_FRAME + 1
    if complete < (1 if num_windows is None else num_windows):
        raise ValueError(f"`samples` holds {len(samples)} samples, too few for {num_windows or 1} windows of speech")
    windows = coefficients.unfold(1, MFCC_STEPS, MFCC_STEPS_PER_FRAME)[:, :num_windows].movedim(1, 0)[:, None]
    with _exact():
        embeds = [syncnet.embed_speech(part.to(_device(syncnet))) for part in windows.split(SPEECH_BATCH)]
        return torch.cat([part.float().cpu() for part in embeds])


def window_count(num_frames: int, num_samples: int) -> int:
    """Windows that the original compares in a clip, 0 where it is too short.

    Args:
        num_frames: at 25 fps.
        num_samples: at 16 kHz.

    Source: SYNCNET2016 section 2: one fewer than fit, as the speech of the last one is not complete.
    """
    return max(0, min(num_frames, num_samples // SAMPLES_PER_FRAME) - WINDOW_FRAMES)


def shift_distances(
    face_embeds: torch.Tensor, speech_embeds: torch.Tensor, max_shift: int = MAX_SHIFT
) -> torch.Tensor:
    """Distances of each window of frames to the speech 0 to 2 v windows behind its v-th predecessor.

    Beyond its ends the speech is continued with zeros.

    Args:
        face_embeds: (N, E).
        speech_embeds: (N, E).
        max_shift: v.

    Returns:
        (N, 2 v + 1): column j is the distance to the speech of window i + j - v.

    Raises:
        ValueError: if the shapes differ, N is 0, or `max_shift` is negative.

    Source: SYNCNET2016 section 3.
    """
    if face_embeds.shape != speech_embeds.shape or not len(face_embeds):
        shapes = f"{tuple(face_embeds.shape)} and {tuple(speech_embeds.shape)}"
        raise ValueError(f"`face_embeds` and `speech_embeds` have shapes {shapes}, expected (N, E) twice, N 1 or more")
    if max_shift < 0:
        raise ValueError(f"`max_shift` is {max_shift}, expected 0 or more")
    count = len(face_embeds)
    padded = F.pad(speech_embeds, (0, 0, max_shift, max_shift))
    distances = torch.empty(count, 2 * max_shift + 1)
    for first, shift in itertools.product(range(0, count, DISTANCE_BLOCK), range(2 * max_shift + 1)):
        faces = face_embeds[first : first + DISTANCE_BLOCK]
        speech = padded[first + shift :][: len(faces)]
        distances[first : first + DISTANCE_BLOCK, shift] = F.pairwise_distance(faces, speech, eps=DISTANCE_EPSILON)
    return distances


def score_of_shifts(distances: torch.Tensor) -> Syncnet2016Score:
    """The score that distances (N, 2 v + 1) of [`shift_distances`] make.

    Source: SYNCNET2016 section 3.
    """
    mean = distances.mean(dim=0).numpy()
    best, median = int(mean.argmin()), np.median(mean)
    confidence = median_filter((median - distances[:, best].numpy()).astype(np.float32), CONFIDENCE_TAPS)
    return Syncnet2016Score(
        offset_frames=len(mean) // 2 - best,
        lse_c=float(median - mean[best]),
        lse_d=float(mean[best]),
        num_windows=len(distances),
        mean_distances=tuple(mean[::-1].tolist()),
        frame_confidence=tuple(confidence.tolist()),
    )


def score_embeds(
    face_embeds: torch.Tensor, syncnet: SyncNet2016, samples: np.ndarray, max_shift: int = MAX_SHIFT
) -> Syncnet2016Score:
    """Compares embedded frames with speech.

    Args:
        face_embeds: (frames - 4, E), from [`FaceEmbedder`].
        syncnet: that made them.
        samples: (S,) int16 at 16 kHz from the beginning of frame 0 on.
        max_shift: v.

    Raises:
        ValueError: if there are fewer than 6 frames, or less speech than these take.
    """
    num_frames = len(face_embeds) + WINDOW_FRAMES - 1
    count = window_count(num_frames, len(samples))
    if not count:
        spoken = len(samples) // SAMPLES_PER_FRAME
        raise ValueError(
            f"`face_embeds` covers {num_frames} frames and `samples` {spoken}, expected {WINDOW_FRAMES + 1} or more"
        )
    return score_of_shifts(shift_distances(face_embeds[:count], embed_speech(syncnet, samples, count), max_shift))


def _check_mode(syncnet: SyncNet2016) -> None:
    if syncnet.training:
        raise ValueError("`syncnet` is in training mode, expected evaluation mode; call its eval()")


def _device(syncnet: SyncNet2016) -> torch.device:
    return next(syncnet.parameters()).device


@contextmanager
def _exact() -> Iterator[None]:
    """Computes without gradients, and on GPUs in full float32: TF32, their default for convolutions, alters scores."""
    with torch.no_grad(), torch.backends.cudnn.flags(enabled=torch.backends.cudnn.enabled, allow_tf32=False):
        yield
