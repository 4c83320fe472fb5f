"""The feature extractor: turns speech into mel windows, 0.2 s of mel spectrogram for each video frame."""

import logging
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from transformers.audio_utils import mel_filter_bank
from transformers.feature_extraction_sequence_utils import SequenceFeatureExtractor
from transformers.feature_extraction_utils import BatchFeature, FeatureExtractionMixin  # noqa: F401 (diffusers looks for it)

from .audio_input_diff2lip import is_batch, to_mono
from .resampling_diff2lip import resample, resampling_reach
from .speech_stream_diff2lip import SpeechStream

# Mel steps computed at a time: always as many, because rounding in products of matrices depends on their size. So a
# step has the same bits in a recording, in a part of it, and in a stream.
MEL_BLOCK_STEPS = 16
# Telephones have 8000 Hz, studios up to 384000.
RATES_HZ = (1000, 768_000)
MAX_FPS = 10_000

logger = logging.getLogger(__name__)


class Diff2LipFeatureExtractor(SequenceFeatureExtractor):
    """Extractor of mel windows: one per video frame, for any sampling rate and any frame rate.

    Letters in shapes: T samples, C channels, M mel steps, N frames. There are `sampling_rate / hop_length` = 80 mel
    steps a second.

    Args:
        feature_size: mel bins.
        sampling_rate: rate in Hz of the audio that the spectrogram is computed from.
        padding_value: mel value of silence; pads windows that reach beyond the end of the audio.
        n_fft: samples per Fourier transform and per Hann window.
        hop_length: samples between mel steps.
        min_frequency_hz: lower edge of the mel filters.
        max_frequency_hz: upper edge of the mel filters.
        preemphasis: a in x[t] - a * x[t - 1].
        ref_level_db: level that counts as 0 dB.
        min_level_db: level that is mapped to -`max_abs_value`.
        max_abs_value: the features are in [-`max_abs_value`, `max_abs_value`].
        window_size: mel steps per window.
        fps: default frame rate of the video.
        backend: `"torch"` or `"torchaudio"`, which must be installed. Both compute the same mel values, but resample
            differently.

    Raises:
        ValueError: if `backend` is unknown.

    Source: the original program, recorded in `tests/data/mel.npz`.
    """

    model_input_names = ["mel_windows"]

    def __init__(
        self,
        feature_size: int = 80,
        sampling_rate: int = 16000,
        padding_value: float = -4.0,
        n_fft: int = 800,
        hop_length: int = 200,
        min_frequency_hz: float = 55.0,
        max_frequency_hz: float = 7600.0,
        preemphasis: float = 0.97,
        ref_level_db: float = 20.0,
        min_level_db: float = -100.0,
        max_abs_value: float = 4.0,
        window_size: int = 16,
        fps: float = 25.0,
        backend: str = "torch",
        **kwargs,
    ):
        if backend not in ("torch", "torchaudio"):
            raise ValueError(f"`backend` is {backend!r}, known are 'torch' and 'torchaudio'")
        super().__init__(feature_size=feature_size, sampling_rate=sampling_rate, padding_value=padding_value, **kwargs)
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.min_frequency_hz = min_frequency_hz
        self.max_frequency_hz = max_frequency_hz
        self.preemphasis = preemphasis
        self.ref_level_db = ref_level_db
        self.min_level_db = min_level_db
        self.max_abs_value = max_abs_value
        self.window_size = window_size
        self.fps = fps
        self.backend = backend

    def __call__(
        self,
        audio: Any,
        sampling_rate: int | None = None,
        fps: float | Fraction | None = None,
        num_frames: int | None = None,
        return_tensors: str = "pt",
    ) -> BatchFeature:
        """Returns the mel windows of a recording, or of a batch of recordings.

        Args:
            audio: an array or tensor (T,), (T, C) or (C, T), or a list of T floats: floats in [-1, 1], or full-scale
                uint8, int8, int16 or int32. Channels are averaged. A list of B of these is a batch.
            sampling_rate: sampling rate of `audio` in Hz. Without it, the configured one is taken, with a warning.
            fps: frames per second of the video; the configured one by default.
            num_frames: N. By default the number of frames with a complete window, which may be 0; in a batch, that of
                the longest recording. Windows beyond the end of the audio are padded with silence.
            return_tensors: `"pt"` or `"np"`.

        Returns:
            `BatchFeature` with `mel_windows`: (N, 80, 16) float32 in [-4, 4]; (B, N, 80, 16) for a batch.

        Raises:
            ValueError: if `audio` has another shape, type or range, or if a rate is of no use.
        """
        if return_tensors not in ("pt", "np"):
            raise ValueError(f"`return_tensors` is {return_tensors!r}, known are 'pt' and 'np'")
        fps = self.fps if fps is None else fps
        if sampling_rate is None:
            logger.warning(
                "`sampling_rate` is missing: the audio is taken for one of %d Hz. Pass its sampling rate; a wrong one"
                " puts speech and lips out of step.",
                self.sampling_rate,
            )
            sampling_rate = self.sampling_rate
        recordings = list(audio) if is_batch(audio) else [audio]
        mels = [self.mel_spectrogram(recording, sampling_rate) for recording in recordings]
        if num_frames is None:
            num_frames = max(self.count_windows(mel.shape[1], fps) for mel in mels)
        windows = [self.windows(mel, range(num_frames), fps) for mel in mels]
        stacked = torch.stack(windows) if is_batch(audio) else windows[0]
        return BatchFeature({"mel_windows": stacked}, tensor_type=None if return_tensors == "pt" else return_tensors)

    def mel_spectrogram(
        self, audio: np.ndarray | torch.Tensor | Sequence[float], sampling_rate: int | None = None
    ) -> torch.Tensor:
        """Returns the mel spectrogram, (80, M) float32 in [-4, 4]. M = 1 + T // hop_length at the configured rate.

        Args:
            audio: one recording, as in [`__call__`].
            sampling_rate: sampling rate of `audio` in Hz; the configured one by default.

        Raises:
            ValueError: as in [`__call__`].
        """
        sampling_rate = self.checked_rate(sampling_rate)
        waveform = to_mono(audio)
        if self.backend == "torchaudio":
            return self._mel_torchaudio(waveform, sampling_rate)
        return self._mel_torch(resample(waveform, sampling_rate, self.sampling_rate))

    def checked_rate(self, sampling_rate: int | None) -> int:
        """Returns a sampling rate in Hz; the configured one for None.

        Raises:
            ValueError: if it is not a whole number in range.
        """
        sampling_rate = self.sampling_rate if sampling_rate is None else sampling_rate
        lowest, highest = RATES_HZ
        is_number = isinstance(sampling_rate, (int, float, np.integer, np.floating))
        if not is_number or not lowest <= sampling_rate <= highest or int(sampling_rate) != sampling_rate:
            raise ValueError(
                f"`sampling_rate` is {sampling_rate!r}, expected a whole number of Hz from {lowest} to {highest}"
            )
        return int(sampling_rate)

    def count_windows(self, mel_steps: int, fps: float | Fraction) -> int:
        """Returns how many frames have a complete window in `mel_steps` steps. The original writes as many."""
        if mel_steps < self.window_size:
            return 0
        last_start = mel_steps - self.window_size
        # The window of frame n starts at floor(rate * (n - 1)). It is complete while rate * (n - 1) < last_start + 1.
        return math.ceil((last_start + 1) / self.steps_per_frame(fps)) + 1

    def windows(self, mel: torch.Tensor, frame_indices: Sequence[int], fps: float | Fraction) -> torch.Tensor:
        """Returns the windows of some frames, padded with silence beyond the end of the audio.

        Args:
            mel: (80, M).
            frame_indices: N frame numbers from 0, in any order.
            fps: frames per second.

        Returns:
            (N, 80, 16). The window of frame n starts at step int(80 * max(n - 1, 0) / fps).
        """
        rate = self.steps_per_frame(fps)
        starts = torch.tensor([int(rate * max(index - 1, 0)) for index in frame_indices], dtype=torch.long)
        steps = starts[:, None] + torch.arange(self.window_size)
        if not mel.shape[1]:
            return torch.full((len(starts), len(mel), self.window_size), self.padding_value)
        windows = mel[:, steps.clamp(max=mel.shape[1] - 1)].transpose(0, 1)
        return torch.where((steps < mel.shape[1])[:, None], windows, self.padding_value).contiguous()

    def steps_per_frame(self, fps: float | Fraction) -> Fraction:
        """Returns how many mel steps begin in a frame.

        Raises:
            ValueError: if `fps` is not in range.
        """
        if not isinstance(fps, (int, float, Fraction, np.integer, np.floating)) or not 0 < fps <= MAX_FPS:
            raise ValueError(f"`fps` is {fps!r}, expected a number above 0, up to {MAX_FPS}")
        return Fraction(self.sampling_rate, self.hop_length) / Fraction(fps).limit_denominator(1_000_000)

    def _mel_torch(self, waveform: torch.Tensor) -> torch.Tensor:
        padded = torch.nn.functional.pad(self.emphasized(waveform), (self.n_fft // 2, self.n_fft // 2))
        return self.mel_of_pieces(padded.unfold(0, self.n_fft, self.hop_length), self.mel_filters())

    def stream(self, sampling_rate: int | None = None, fps: float | Fraction | None = None) -> SpeechStream:
        """Returns a stream that takes speech in chunks and gives the mel windows of the whole.

        Args:
            sampling_rate: of the chunks, in Hz; the configured one by default.
            fps: frames per second of the video; the configured one by default.

        Raises:
            ValueError: if a rate is not positive, or the backend is not "torch".
        """
        return SpeechStream(self, sampling_rate, fps)

    # Parts of the computation, for streams.

    @property
    def mel_block_steps(self) -> int:
        """How many mel steps are computed at a time."""
        return MEL_BLOCK_STEPS

    def to_mono(self, audio: np.ndarray | torch.Tensor | Sequence[float]) -> torch.Tensor:
        """Returns audio of any accepted form as (T,) float32 in [-1, 1].

        Raises:
            ValueError: if `audio` has another shape or is not finite.
        """
        return to_mono(audio)

    def resample(self, waveform: torch.Tensor, sampling_rate: int) -> torch.Tensor:
        """Resamples a waveform (T,) float32 to the configured rate."""
        return resample(waveform, sampling_rate, self.sampling_rate)

    def resampling_reach(self, sampling_rate: int) -> int:
        """Returns on how many samples after its own place a resampled value depends."""
        return resampling_reach(sampling_rate, self.sampling_rate)

    def emphasized(self, waveform: torch.Tensor) -> torch.Tensor:
        """Returns x[t] - preemphasis * x[t - 1] of a waveform (T,), (T,) float64; the first sample stays."""
        samples = waveform.double()
        return torch.cat([samples[:1], samples[1:] - self.preemphasis * samples[:-1]])

    def mel_of_pieces(self, pieces: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
        """Returns mel steps (80, M) float32 in [-4, 4].

        Args:
            pieces: (M, n_fft) float64, emphasized audio around each step.
            filters: those of `mel_filters`.
        """
        window = torch.hann_window(self.n_fft, periodic=True, dtype=torch.float64)
        blocks = []
        for block in pieces.split(MEL_BLOCK_STEPS):
            full = torch.nn.functional.pad(block * window, (0, 0, 0, MEL_BLOCK_STEPS - len(block)))
            blocks.append(self._normalize(filters @ torch.fft.rfft(full).abs().T)[:, : len(block)])
        return torch.cat(blocks, dim=1)

    def mel_filters(self) -> torch.Tensor:
        """Returns Slaney mel filters of unit area, (80, 1 + n_fft // 2) float64."""
        filters = mel_filter_bank(
            num_frequency_bins=1 + self.n_fft // 2,
            num_mel_filters=self.feature_size,
            min_frequency=self.min_frequency_hz,
            max_frequency=self.max_frequency_hz,
            sampling_rate=self.sampling_rate,
            norm="slaney",
            mel_scale="slaney",
        )
        return torch.from_numpy(filters.T)

    def _normalize(self, mel: torch.Tensor) -> torch.Tensor:
        """Maps magnitudes to decibels, then to [-4, 4]."""
        level_db = 20 * mel.clamp(min=10 ** (self.min_level_db / 20)).log10() - self.ref_level_db
        scaled = 2 * self.max_abs_value * (level_db - self.min_level_db) / -self.min_level_db - self.max_abs_value
        return scaled.clamp(-self.max_abs_value, self.max_abs_value).float()

    def _mel_torchaudio(self, waveform: torch.Tensor, sampling_rate: int) -> torch.Tensor:
        torchaudio = _import_torchaudio()
        samples = torchaudio.functional.resample(waveform, sampling_rate, self.sampling_rate)
        samples = torchaudio.functional.preemphasis(samples.double(), self.preemphasis)
        spectrogram = torchaudio.transforms.Spectrogram(
            n_fft=self.n_fft, hop_length=self.hop_length, power=1.0, pad_mode="constant", center=True
        ).double()
        mel_scale = torchaudio.transforms.MelScale(
            n_mels=self.feature_size,
            sample_rate=self.sampling_rate,
            f_min=self.min_frequency_hz,
            f_max=self.max_frequency_hz,
            n_stft=1 + self.n_fft // 2,
            norm="slaney",
            mel_scale="slaney",
        ).double()
        return self._normalize(mel_scale(spectrogram(samples)))


def _import_torchaudio():
    try:
        import torchaudio  # pyright: ignore[reportMissingImports]  # an extra of its own
    except (ImportError, OSError) as error:
        raise ImportError(
            "`backend` is 'torchaudio', but no working torchaudio is installed; install the one that matches your"
            " torch, or pass backend='torch'"
        ) from error
    return torchaudio
