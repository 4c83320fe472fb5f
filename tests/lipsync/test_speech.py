"""Speech in chunks against the mel of the whole recording."""

import tracemalloc
import wave
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from helpers.recorded import DATA
from hypothesis import given, settings
from hypothesis import strategies as st

from diff2lip_diffusers import Diff2LipFeatureExtractor
from diff2lip_diffusers.errors import AudioTooShortError, MediaError, NoAudioError
from diff2lip_diffusers.lipsync import speech
from diff2lip_diffusers.lipsync.speech import CHUNK_S, check_speech, read_speech, speech_from_blocks
from diff2lip_diffusers.media.reader import read_audio

EXTRACTOR = Diff2LipFeatureExtractor()
RATES = [8000, 11025, 16000, 22050, 44100, 44101, 48000, 96000]


def sound_like_speech(seconds: Fraction | float, rate: int, channels: int = 1) -> np.ndarray:
    """Noise whose level falls from full scale to below the least level of the mel and back, int16 (C, T)."""
    samples = round(seconds * rate)
    level = 10 ** (-2.5 + 2.5 * np.cos(np.arange(samples) / rate * 2.1))
    noise = np.random.default_rng(samples).standard_normal((channels, samples))
    return (noise * level * 8000).clip(-32768, 32767).astype(np.int16)


def mel_of_whole(samples: np.ndarray, rate: int) -> torch.Tensor:
    return EXTRACTOR.mel_spectrogram(samples.mean(axis=0, dtype=np.float32) / np.float32(32768), rate)


def in_blocks(samples: np.ndarray, length: int) -> list[np.ndarray]:
    return np.split(samples, range(length, samples.shape[1], length), axis=1)


def write_wav(path, samples: np.ndarray, rate: int):
    with wave.open(str(path), "wb") as file:
        file.setparams((len(samples), 2, rate, 0, "NONE", "NONE"))
        file.writeframes(np.ascontiguousarray(samples.T).tobytes())
    return path


def write_sound(path, samples: np.ndarray, rate: int, codec: str, start: int = 0):
    """A file whose sound starts `start` samples after time zero, by PyAV alone."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        resampler = av.AudioResampler(format=stream.format, rate=rate, frame_size=stream.frame_size)
        for part in [*resampler.resample(frame), *resampler.resample(None), None]:
            out.mux(stream.encode(part))
    return path


# Equal to the whole


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("seconds", [Fraction(21, 100), 0.73, CHUNK_S + 1.37], ids=str)
def test_the_mel_is_that_of_the_whole_recording(rate, seconds):
    samples = sound_like_speech(seconds, rate)
    result = speech_from_blocks(in_blocks(samples, 1024), rate, EXTRACTOR)
    torch.testing.assert_close(result.mel, mel_of_whole(samples, rate), atol=1e-6, rtol=0)
    assert result.duration_s == Fraction(samples.shape[1], rate)


@settings(deadline=None, max_examples=30)
@given(
    rate=st.sampled_from([1000, 1001, 1111, 1600, 3200]),
    chunk_s=st.integers(1, 4),
    border=st.integers(0, 6),
    offset=st.integers(-3, 3),
    block=st.sampled_from([1, 799, 5000, 10**6]),
)
def test_the_mel_is_that_of_the_whole_around_every_border(rate, chunk_s, border, offset, block):
    length = max(border * rate + offset, -(-rate // 5))
    samples = sound_like_speech(Fraction(length, rate), rate, channels=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speech, "CHUNK_S", chunk_s)
        result = speech_from_blocks(in_blocks(samples, block), rate, EXTRACTOR)
    assert result.mel.shape == (80, 1 + -(-length * 16000 // rate) // 200)
    torch.testing.assert_close(result.mel, mel_of_whole(samples, rate), atol=1e-6, rtol=0)


def test_recorded_speech_has_the_originals_mel():
    recorded = np.load(DATA / "mel.npz")
    samples = np.round(recorded["speech_real.wav"] * 32768).clip(-32768, 32767).astype(np.int16)[None]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speech, "CHUNK_S", 1)
        mel = speech_from_blocks(in_blocks(samples, 700), 16000, EXTRACTOR).mel
    np.testing.assert_allclose(mel, recorded["speech_real.mel"], atol=1e-4)


def test_steps_that_fill_no_second_get_longer_margins():
    """22050 Hz and 256 samples a step: only every 128 s a step falls on a whole second."""
    extractor = Diff2LipFeatureExtractor(sampling_rate=22050, hop_length=256, n_fft=1024)
    samples = sound_like_speech(270, 1000)
    mel = speech_from_blocks([samples], 1000, extractor).mel
    expected = extractor.mel_spectrogram(samples[0] / np.float32(32768), 1000)
    torch.testing.assert_close(mel, expected, atol=1e-6, rtol=0)


# Files


@pytest.mark.parametrize("rate, channels", [(8000, 1), (11025, 2), (16000, 1), (44100, 2), (44101, 1), (48000, 6)])
def test_a_file_gives_the_mel_of_read_audio(tmp_path, rate, channels):
    path = write_wav(tmp_path / "sound.wav", sound_like_speech(CHUNK_S + 2.3, rate, channels), rate)
    samples, _ = read_audio(path)
    result = read_speech(path, EXTRACTOR)
    torch.testing.assert_close(result.mel, EXTRACTOR.mel_spectrogram(samples, rate), atol=1e-6, rtol=0)
    assert result.duration_s == Fraction(len(samples), rate)


@pytest.mark.parametrize("name, codec, start", [("late.mkv", "pcm_s16le", 8000), ("speech.m4a", "aac", 0)])
def test_containers_and_compressed_sound_give_the_mel_of_read_audio(tmp_path, name, codec, start):
    path = write_sound(tmp_path / name, sound_like_speech(3, 16000), 16000, codec, start)
    samples, rate = read_audio(path)
    expected = EXTRACTOR.mel_spectrogram(samples, rate)
    torch.testing.assert_close(read_speech(path, EXTRACTOR).mel, expected, atol=1e-6, rtol=0)


# Errors


@pytest.mark.parametrize("rate", [8000, 44101])
def test_fewer_than_200_ms_are_too_short(tmp_path, rate):
    enough = -(-rate // 5)
    samples = sound_like_speech(1, rate)
    result = read_speech(write_wav(tmp_path / "enough.wav", samples[:, :enough], rate), EXTRACTOR)
    assert result.duration_s == Fraction(enough, rate)
    check_speech(tmp_path / "enough.wav")
    write_wav(tmp_path / "short.wav", samples[:, : enough - 1], rate)
    with pytest.raises(AudioTooShortError) as caught:
        read_speech(tmp_path / "short.wav", EXTRACTOR)
    with pytest.raises(AudioTooShortError) as checked:
        check_speech(tmp_path / "short.wav")
    assert str(checked.value) == str(caught.value)
    assert caught.value.have_s == pytest.approx((enough - 1) / rate) and caught.value.need_s == 0.2


def test_no_sound_at_all_is_too_short():
    for blocks in ([], [np.zeros((1, 0), np.int16)]):
        with pytest.raises(AudioTooShortError, match="lasts 0.000 s"):
            speech_from_blocks(blocks, 16000, EXTRACTOR)


def test_files_that_cannot_be_heard(tmp_path):
    (tmp_path / "text.wav").write_text("no sound")
    for name in ("text.wav", "missing.wav"):
        for read in (read_speech, lambda path, _: check_speech(path)):
            with pytest.raises(MediaError):
                read(tmp_path / name, EXTRACTOR)
    with av.open(str(tmp_path / "silent.mp4"), "w") as out:
        stream = out.add_stream("libx264", rate=25, width=64, height=64, pix_fmt="yuv420p")
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with pytest.raises(NoAudioError):
        read_speech(tmp_path / "silent.mp4", EXTRACTOR)


# Memory


class LengthsOnly:
    """Stands in for the feature extractor: notes the longest sound, and returns as many steps as it would."""

    sampling_rate, hop_length = 16000, 200

    def __init__(self):
        self.longest_s = 0

    def mel_spectrogram(self, samples: np.ndarray, sampling_rate: int) -> torch.Tensor:
        self.longest_s = max(self.longest_s, len(samples) / sampling_rate)
        return torch.zeros(80, 1 + -(-len(samples) * 16000 // sampling_rate) // 200)


def peak_bytes(minutes: int, block: int = 1024) -> int:
    """The most memory that arrays take while a recording at 16 kHz is read."""
    rate, extractor = 16000, LengthsOnly()
    blocks = (np.ones((2, block), np.int16) for _ in range(minutes * 60 * rate // block))
    tracemalloc.start()
    try:
        mel = speech_from_blocks(blocks, rate, extractor).mel
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert mel.shape == (80, 1 + minutes * 60 * rate // block * block // 200)
    assert extractor.longest_s <= CHUNK_S + 2
    return peak


def test_memory_does_not_grow_with_the_recording():
    short, long = peak_bytes(2), peak_bytes(20)
    assert long < 1.1 * short
    assert short < 4 * (CHUNK_S + 2) * 16000 * 4  # a few chunks of float32


def test_one_giant_block_is_taken_in_pieces():
    giant = np.ones((1, 16000 * 600), np.int16)
    tracemalloc.start()
    speech_from_blocks([giant], 16000, LengthsOnly())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < giant.nbytes / 2
