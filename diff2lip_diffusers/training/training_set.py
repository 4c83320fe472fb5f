"""Training samples. Sample k depends on (seed, k) only, so a restart or more processes change no sample."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import Dataset, Sampler

from ..errors import MediaError
from ..portable.feature_extraction_diff2lip import Diff2LipFeatureExtractor
from ..syncnet import sync_mel_windows
from .training_clips import Clip, check_not_empty, clip_spectrogram, find_clips, is_held_out, read_clip_frames

SPLITS = ("train", "held-out", "all")
CACHES = ("memory", "none")
# So many draws of a sample hit damaged clips only if hardly any other is left.
MAX_DRAWS = 100


@dataclass(frozen=True)
class Augmentation:
    """Random changes of the crops in training.

    Args:
        jitter: largest shift and largest change of size of a crop, as a fraction of the frame, in [0, 0.5).
        flip: whether half of the samples are mirrored.
        color: largest relative change of brightness and of contrast, in [0, 1).
    """

    jitter: float = 0.03
    flip: bool = True
    color: float = 0.0


NO_AUGMENTATION = Augmentation(jitter=0.0, flip=False)


class TrainingSet(Dataset):
    """Samples of a prepared training set. Item k depends on (seed, k) only; there is no last item.

    Letters in shapes: T consecutive frames of S x S pixels.

    Args:
        folders: a prepared folder, or several.
        size_px: S.
        frames_per_sample: T.
        split: `"train"`, `"held-out"` or `"all"`; identities are split by a hash of their names.
        held_out_fraction: share of the identities that is held out.
        augmentation: random changes of the crops.
        seed: decides all items.
        cache: `"memory"` decodes the whole set once; `"none"` reads each sample from its file.
        cache_px: height and width of the frames in memory; by default the set's, but at most twice S.
        reader: `"pyav"` or `"decord"`.

    Attributes:
        damaged: what is wrong with the clips that could not be read so far, by their index.

    Raises:
        MediaError: if a folder is not a training set.
        Diff2LipError: if no clip of this split is long enough.
    """

    def __init__(
        self,
        folders: str | Path | Sequence[str | Path],
        size_px: int,
        frames_per_sample: int = 5,
        split: str = "train",
        held_out_fraction: float = 0.0,
        augmentation: Augmentation = NO_AUGMENTATION,
        seed: int = 0,
        cache: str = "none",
        cache_px: int | None = None,
        reader: str = "pyav",
    ):
        self.size_px, self.frames_per_sample, self.seed = size_px, frames_per_sample, seed
        self.augmentation, self.reader = augmentation, reader
        self.extractor = Diff2LipFeatureExtractor()
        folders = [folders] if isinstance(folders, (str, Path)) else list(folders)
        self.clips, set_px = _clips_of(folders, split, held_out_fraction, frames_per_sample)
        # The probability of a clip is proportional to its number of start frames.
        self._starts = np.cumsum([clip.frames - frames_per_sample + 1 for clip in self.clips])
        self.damaged: dict[int, str] = {}
        self._cached: list[torch.Tensor | None] | None = None
        if cache == "memory":
            kept_px = cache_px or min(set_px, 2 * size_px)
            self._cached = [self._cached_frames(index, kept_px) for index in range(len(self.clips))]

    def __len__(self) -> int:
        """Returns the number of different samples, without augmentation."""
        return int(self._starts[-1])

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        """Returns sample k. Where a file is damaged, it is drawn again, in the same way in every run.

        Returns:
            `frames`: (T, 3, S, S) float32 in [-1, 1], consecutive frames of one clip.
            `reference`: (3, S, S) float32 in [-1, 1], another frame of the clip, not one of these.
            `mel_windows`: (T, 80, 16), one per frame, for the audio encoder.
            `sync_mel`: (80, 16), the mel steps from the first frame on, for SyncNet.
            `noise`, `fill`: (3, S, S) normal noise, added to the frames, and filled into the masked part.
            `draw`: () float64 in [0, 1), decides the timestep.
            `audio_draw`: () float64 in [0, 1), decides whether the audio is dropped.

        Raises:
            MediaError: if hardly any clip can be read.
        """
        draw = 0
        while True:
            rng = np.random.Generator(np.random.PCG64((self.seed, number, draw) if draw else (self.seed, number)))
            place = int(rng.integers(len(self)))
            index = int(np.searchsorted(self._starts, place, side="right"))
            try:
                return self._sample(rng, index, place - int(self._starts[index - 1] if index else 0))
            except MediaError as error:
                self.damaged[index] = str(error)
                draw += 1
                if draw == MAX_DRAWS:
                    raise

    def _sample(self, rng: np.random.Generator, index: int, start: int) -> dict[str, torch.Tensor]:
        clip = self.clips[index]
        reference = _draw_reference(rng, clip.frames, start, self.frames_per_sample)
        draw = rng.random()
        frames = self.read(index, start, self.frames_per_sample)
        frames, reference = self._augmented(rng, frames, self.read(index, reference, 1))
        noise, fill = torch.from_numpy(rng.standard_normal((2, *reference.shape[1:]), dtype=np.float32))
        return {
            "frames": frames,
            "reference": reference[0],
            **self.mel(index, start, self.frames_per_sample),
            "noise": noise,
            "fill": fill,
            "draw": torch.tensor(draw, dtype=torch.float64),
            "audio_draw": torch.tensor(rng.random(), dtype=torch.float64),
        }

    def read(self, index: int, start: int, count: int) -> torch.Tensor:
        """Returns frames (N, 3, H, W) uint8 of a clip, in the size in memory or in the file."""
        cached = None if self._cached is None else self._cached[index]
        if cached is not None:
            return cached[start : start + count]
        return read_clip_frames(self.clips[index], start, count, self.reader)

    def _cached_frames(self, index: int, kept_px: int) -> torch.Tensor | None:
        """Returns all frames of a clip in the size to keep; None if it is damaged."""
        clip = self.clips[index]
        try:
            return _resized(read_clip_frames(clip, 0, clip.frames, self.reader), kept_px)
        except MediaError as error:
            self.damaged[index] = str(error)
            return None

    def mel(self, index: int, start: int, count: int) -> dict[str, torch.Tensor]:
        """Returns `mel_windows` and `sync_mel` of consecutive frames of a clip."""
        clip = self.clips[index]
        mel = clip_spectrogram(clip, self.extractor)
        windows = self.extractor.windows(mel, range(start, start + count), clip.fps)
        return {"mel_windows": windows, "sync_mel": sync_mel_windows(mel, [start], clip.fps, self.extractor)[0, 0]}

    def sized(self, frames: torch.Tensor) -> torch.Tensor:
        """Returns frames of [`read`] at S x S, float32 in [-1, 1]."""
        return to_model_range(_resized(frames, self.size_px))

    def _augmented(
        self, rng: np.random.Generator, frames: torch.Tensor, reference: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns both at S x S in [-1, 1], with independent crops but the same mirroring and color."""
        frames, reference = (self._cropped(rng, some) for some in (frames, reference))
        if self.augmentation.flip and rng.random() < 0.5:
            frames, reference = frames.flip(-1), reference.flip(-1)
        if self.augmentation.color:
            contrast, brightness = rng.uniform(-self.augmentation.color, self.augmentation.color, 2)
            frames, reference = ((1 + contrast) * some + brightness for some in (frames, reference))
        return frames.clamp(-1, 1), reference.clamp(-1, 1)

    def _cropped(self, rng: np.random.Generator, frames: torch.Tensor) -> torch.Tensor:
        full = frames.shape[-1]
        if self.augmentation.jitter:
            grow, *shift = rng.uniform(-self.augmentation.jitter, self.augmentation.jitter, 3)
            size = round(full * (1 + grow))
            rows, columns = (
                torch.arange(size).add_(round(full * by) + (full - size) // 2).clamp_(0, full - 1) for by in shift
            )
            frames = frames[:, :, rows[:, None], columns]
        return self.sized(frames)


class SampleNumbers(Sampler[int]):
    """Numbers of the samples that one of several processes takes, batch after batch, without end.

    Micro-batch m of all P processes has the numbers m * P * B to (m + 1) * P * B; process p takes the p-th B of them.
    """

    def __init__(self, first: int, batch_size: int, process: int = 0, num_processes: int = 1):
        self.first, self.batch_size = first, batch_size
        self.process, self.num_processes = process, num_processes

    def __iter__(self) -> Iterator[int]:
        start = self.first + self.process * self.batch_size
        while True:
            yield from range(start, start + self.batch_size)
            start += self.num_processes * self.batch_size


def to_model_range(frames: torch.Tensor) -> torch.Tensor:
    """Returns uint8 frames as float32 in [-1, 1]."""
    return frames.float().div_(127.5).sub_(1)


def _clips_of(folders: list, split: str, held_out_fraction: float, frames: int) -> tuple[list[Clip], int]:
    """Returns the clips of one split that are long enough, and the height and width of their frames."""
    if split not in SPLITS:
        raise ValueError(f"`split` is {split!r}, known are {', '.join(SPLITS)}")
    found = [find_clips(folder) for folder in folders]
    clips = [clip for some, _ in found for clip in some]
    named = ", ".join(map(str, folders))
    if split != "all":
        clips = [clip for clip in clips if is_held_out(clip.identity, held_out_fraction) == (split == "held-out")]
        check_not_empty(clips, f"in {named} are of the {split} part", "change `held_out_fraction`")
    # One more frame, for the reference.
    clips = [clip for clip in clips if clip.frames > frames]
    check_not_empty(clips, f"in {named} have more than {frames} frames", "prepare longer videos")
    sizes = {size_px for _, size_px in found}
    if len(sizes) > 1:
        raise MediaError(folders[-1], f"has frames of another size than the other sets ({sorted(sizes)} pixels)")
    return clips, sizes.pop()


def _draw_reference(rng: np.random.Generator, total: int, start: int, count: int) -> int:
    """Draws a frame that is not in the sample."""
    drawn = int(rng.integers(total - count))
    return drawn if drawn < start else drawn + count


def _resized(frames: torch.Tensor, size_px: int) -> torch.Tensor:
    if frames.shape[-2:] == (size_px, size_px):
        return frames
    return F.interpolate(frames, size=(size_px, size_px), mode="bilinear", antialias=True)
