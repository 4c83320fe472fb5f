"""Several clips in one call: joined into one row of frames, and split again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import Any

import torch

from .frames_diff2lip import Frames, one_or_each


@dataclass(eq=False)
class JoinedClips:
    """The frames of several clips, one after another: N in all, of S x S pixels.

    Args:
        frames: (N, 3, S, S) in [0, 1].
        references: as many, or None for the frames themselves.
        mel_windows: (N, 80, 16).
        lengths: frames of each clip.
    """

    frames: torch.Tensor
    references: torch.Tensor | None
    mel_windows: torch.Tensor
    lengths: list[int]


def join_clips(
    prepare: Callable[[Frames, str], torch.Tensor],
    extractor: Any,
    frames: Any,
    audio: Sequence,
    sampling_rate: int | Sequence[int] | None,
    fps: float | Fraction | None,
    references: Any,
) -> JoinedClips:
    """Joins clips, so that each frame hears its own recording.

    Args:
        prepare: turns the frames of a clip into a tensor; its second argument is their name.
        extractor: feature extractor.
        frames: a list of B clips, each as frames of one clip are passed.
        audio: a list of B recordings.
        sampling_rate: of all recordings, or a list of B.
        fps: frames per second of all clips.
        references: a list of B, each frames of that clip or one frame; None for the frames themselves.

    Raises:
        ValueError: if the lists do not have equal lengths.
    """
    count = len(audio)
    rates = list(sampling_rate) if isinstance(sampling_rate, (list, tuple)) else [sampling_rate] * count
    for name, some in (("frames", frames), ("sampling_rate", rates), ("reference_frames", references)):
        if some is not None and (not isinstance(some, (list, tuple)) or len(some) != count):
            found = f"a list of {len(some)}" if isinstance(some, (list, tuple)) else f"a {type(some).__name__}"
            raise ValueError(f"`audio` has {count} recordings, but `{name}` is {found}, expected one for each")
    clips = [prepare(clip, "frames") for clip in frames]
    lengths = [len(clip) for clip in clips]
    windows = [
        extractor(recording, rate, fps, num_frames=length).mel_windows
        for recording, rate, length in zip(audio, rates, lengths, strict=True)
    ]
    own = None
    if references is not None:
        prepared = [prepare(some, "reference_frames") for some in references]
        own = torch.cat([one_or_each(some, n, "reference_frames") for some, n in zip(prepared, lengths, strict=True)])
    return JoinedClips(torch.cat(clips), own, torch.cat(windows), lengths)


def split_clips(frames: Frames, lengths: list[int]) -> list[Frames]:
    """Returns the frames of each clip, in the form in which they came."""
    ends = list(accumulate(lengths))
    return [frames[end - length : end] for end, length in zip(ends, lengths, strict=True)]
