"""Judges a personal model on frames that it was not trained on, with the person's own speech and with other speech."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import AudioTooShortError
from ..evaluation.measures.sharpness import laplacian_variance, luma
from ..media.reader import read_audio
from ..portable.feature_extraction_diff2lip import Diff2LipFeatureExtractor
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from ..schedulers import make_scheduler
from ..training.previews import sampling_at
from ..training.training_clips import read_clip_frames
from ..training.training_set import TrainingSet
from .material import HeldOutPart
from .mouth_darkness import MouthMatch, match_mouths, mouth_box

# DPM-Solver++ with few steps. One noise image for all frames, as in a job.
STEPS, BATCH, SEED = 6, 10, 7
# So many frames are judged, evenly spaced if there are more.
MOST_FRAMES = 60
# The other speech is taken from so many places, as a single one may agree by chance.
MOST_PLACES, LEAST_OTHER_SPEECH_S = 4, 1.0
# A correlation higher by 0.1 is worth as much as 1 dB.
DB_PER_CORRELATION = 10.0


@dataclass(frozen=True)
class HeldOutScore:
    """How a model paints held-out frames with the person's own speech.

    Attributes:
        psnr_db: peak signal-to-noise ratio in the box of the mouth.
        correlation: of the mouth's darkness with the truth.
        movement: how much the darkness changes, as a multiple of the truth.
    """

    psnr_db: float
    correlation: float
    movement: float

    @property
    def total(self) -> float:
        """One number, the higher the better, in dB."""
        return self.psnr_db + DB_PER_CORRELATION * self.correlation

    @classmethod
    def of(cls, match: MouthMatch) -> "HeldOutScore":
        """Takes the numbers of a comparison."""
        return cls(match.psnr_db, match.correlation, match.movement)


class HeldOutFrames:
    """Held-out frames of a person, and the speech to paint them with.

    Letters in shapes: N frames of S x S pixels.

    Args:
        parts: what is held out.
        trained: the training set, for a reference frame of each clip.
        size_px: S.
        speech: file with other speech.

    Attributes:
        frames: (N, 3, S, S) in [0, 1], the truth.
        references: (N, 3, S, S) in [0, 1], of the same clip, from outside the held-out part where possible.
        own_speech: (N, 80, 16), mel windows of what the person says.
        other_speech: mel windows of several places in the other speech, (N, 80, 16) each.

    Raises:
        MediaError: if a clip or the speech cannot be read.
        AudioTooShortError: if the other speech is too short.
    """

    def __init__(self, parts: Sequence[HeldOutPart], trained: TrainingSet, size_px: int, speech: str | Path):
        total = sum(part.end - part.start for part in parts)
        self.stride = max(1, -(-total // MOST_FRAMES))
        self.extractor = Diff2LipFeatureExtractor()
        read = [self._read(part, trained) for part in parts]
        self.frames, self.references, self.own_speech = (torch.cat(some) for some in zip(*read, strict=True))
        self.other_speech = self._other_speech(speech, parts[0].clip.fps)

    def paint(self, pipe: Diff2LipPipeline, mel_windows: torch.Tensor, chosen: Any = slice(None)) -> torch.Tensor:
        """Returns the frames, or some of them, with painted mouths, (N, 3, S, S) in [0, 1].

        Args:
            pipe: the model; its scheduler is not used.
            mel_windows: (N, 80, 16), for all frames.
            chosen: index of the frames to paint; all by default.
        """
        with sampling_at(pipe, self.frames.shape[-1]):
            output: Any = pipe(
                self.frames[chosen],
                mel_windows=mel_windows[chosen],
                reference_frames=self.references[chosen],
                num_inference_steps=STEPS,
                batch_size=BATCH,
                generator=torch.Generator().manual_seed(SEED),
                output_type="pt",
                scheduler=make_scheduler("dpmsolver++", pipe.scheduler.config),
            )
        return output.frames.float().cpu()

    def score(self, pipe: Diff2LipPipeline) -> HeldOutScore:
        """Returns how well the model paints the person saying what they said."""
        return HeldOutScore.of(match_mouths(self.paint(pipe, self.own_speech), self.frames))

    def sharpness(self, painted: torch.Tensor) -> float:
        """Returns the Laplacian variance of painted mouths (N, 3, S, S), as a multiple of the truth's."""
        sums = [sum(_sharpness(frame) for frame in mouth_box(frames)) for frames in (painted, self.frames)]
        return sums[0] / sums[1] if sums[1] else float("nan")

    def _read(self, part: HeldOutPart, trained: TrainingSet) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        numbers = range(part.start, part.end, self.stride)
        # The middle of what is trained on; of a clip that is all held out, its first frame.
        reference = read_clip_frames(part.clip, part.start // 2, 1)
        frames = read_clip_frames(part.clip, part.start, part.end - part.start)[:: self.stride]
        sized, reference = ((trained.sized(some) + 1) / 2 for some in (frames, reference))
        mel = self.extractor.mel_spectrogram(*read_audio(part.clip.speech))
        windows = self.extractor.windows(mel, numbers, part.clip.fps)
        return sized, reference.expand_as(sized), windows

    def _other_speech(self, path: str | Path, fps: float) -> list[torch.Tensor]:
        waveform, sampling_rate = read_other_speech(path)
        available = int(len(waveform) / sampling_rate * fps)
        needed = (len(self.frames) - 1) * self.stride + 1
        mel = self.extractor.mel_spectrogram(waveform, sampling_rate)
        places = 1 if available < 2 * needed else min(MOST_PLACES, available // needed)
        starts = np.linspace(0, max(0, available - needed), places).astype(int) if places > 1 else [0]
        # Speech that is too short is said again from its beginning.
        return [
            self.extractor.windows(mel, [(start + k * self.stride) % available for k in range(len(self.frames))], fps)
            for start in map(int, starts)
        ]


def read_other_speech(path: str | Path) -> tuple[np.ndarray, int]:
    """Returns waveform and sampling rate of a recording of a second or more.

    Raises:
        MediaError: if it cannot be read, or has no audio.
        AudioTooShortError: if it is shorter.
    """
    waveform, sampling_rate = read_audio(path)
    if len(waveform) < LEAST_OTHER_SPEECH_S * sampling_rate:
        raise AudioTooShortError(len(waveform) / sampling_rate, LEAST_OTHER_SPEECH_S, path)
    return waveform, sampling_rate


def _sharpness(frame: torch.Tensor) -> float:
    return laplacian_variance(luma(frame.permute(1, 2, 0).numpy() * 255))
