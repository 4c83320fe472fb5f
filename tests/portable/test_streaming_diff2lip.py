"""The pipeline as a stream: equal to a call with the whole audio, bit for bit, and no later than it must be."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler

from diff2lip_diffusers import Diff2LipFeatureExtractor

RATES = [8000, 11025, 16000, 44100, 48000]


def noise(seconds: float, rate: int, seed: int = 0) -> np.ndarray:
    samples = np.random.default_rng(seed).standard_normal(round(seconds * rate)).astype(np.float32)
    return 0.1 * samples * np.abs(np.sin(np.arange(len(samples)) * 8 / rate)).astype(np.float32)


def in_chunks(samples: np.ndarray, sizes) -> list[np.ndarray]:
    sizes, chunks, start = itertools.cycle(sizes), [], 0
    while start < len(samples):
        chunks.append(samples[start : start + next(sizes)])
        start += len(chunks[-1])
    return chunks


def streamed_windows(chunks, rate: int, fps, num_frames: int) -> tuple[torch.Tensor, list[int]]:
    """The windows, and how many samples had been pushed when each was ready."""
    stream, windows, pushed = Diff2LipFeatureExtractor().stream(rate, fps), [], []
    for chunk in [*chunks, None]:
        stream.finish() if chunk is None else stream.push(chunk)
        while len(windows) < num_frames and stream.is_ready(len(windows)):
            windows.append(stream.window(len(windows)))
            pushed.append(stream.num_samples)
    return torch.stack(windows), pushed


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("sizes", [[1, 7, 5000], [480], [10**6]])
def test_windows_of_a_stream_are_those_of_the_recording(rate, sizes):
    samples = noise(2.113, rate)
    expected = Diff2LipFeatureExtractor()(samples, rate, 25, num_frames=60).mel_windows
    actual, _ = streamed_windows(in_chunks(samples, sizes), rate, 25, 60)
    assert torch.equal(actual, expected)


@pytest.mark.parametrize("fps", [12.5, Fraction(30000, 1001), 60])
def test_windows_at_other_frame_rates(fps):
    samples = noise(1.5, 16000)
    expected = Diff2LipFeatureExtractor()(samples, 16000, fps, num_frames=40).mel_windows
    assert torch.equal(streamed_windows(in_chunks(samples, [313]), 16000, fps, 40)[0], expected)


@pytest.mark.parametrize("length", [0, 1, 199, 3200, 3201])
def test_windows_of_very_short_speech(length):
    samples = noise(1, 16000)[:length]
    extractor = Diff2LipFeatureExtractor()
    mel = extractor.mel_spectrogram(samples) if length else torch.zeros(80, 0)
    expected = extractor.windows(mel, range(5), 25)
    assert torch.equal(streamed_windows([samples], 16000, 25, 5)[0], expected)


@pytest.mark.parametrize("rate", RATES)
def test_a_window_is_ready_when_its_lookahead_is_there_and_not_later(rate):
    samples, size = noise(0.6, rate), rate // 1000
    stream = Diff2LipFeatureExtractor().stream(rate, 25)
    assert 0.1725 <= stream.lookahead_s < 0.18
    _, pushed = streamed_windows(in_chunks(samples, [size]), rate, 25, 9)
    delays = [count / rate - frame / 25 for frame, count in enumerate(pushed)]
    assert max(delays[1:]) <= stream.lookahead_s + size / rate
    assert min(delays[1:]) >= 0.16


def test_memory_of_a_stream_does_not_grow():
    stream, samples = Diff2LipFeatureExtractor().stream(48000), noise(0.02, 48000)
    sizes = []
    for number in range(600):
        stream.push(samples)
        if number % 2 and number > 20:
            stream.window(number // 2 - 5)
            held = (stream._resampling._chunks[0], stream._steps._samples, stream._steps._mel)
            sizes.append(sum(part.untyped_storage().nbytes() for part in held))
    assert max(sizes[100:]) <= max(sizes[:100])


def test_a_stream_refuses_what_it_cannot_keep():
    stream = Diff2LipFeatureExtractor().stream()
    with pytest.raises(ValueError, match="not finite"):
        stream.push(np.array([0.0, np.nan], np.float32))
    with pytest.raises(ValueError, match="audio is not there yet"):
        stream.window(0)
    stream.push(noise(1, 16000))
    stream.window(9)
    with pytest.raises(ValueError, match="`frame` is 8, expected 9 or later"):
        stream.window(8)
    stream.finish()
    with pytest.raises(ValueError, match="after the end"):
        stream.push(noise(1, 16000))
    with pytest.raises(ValueError, match="only 'torch' can stream"):
        Diff2LipFeatureExtractor(backend="torchaudio").stream()


@pytest.fixture
def crops():
    return np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("scheduler", ["DDIM", "DDPM"])
def test_streamed_frames_are_those_of_a_call(small_pipe, crops, batch_size, scheduler):
    if scheduler == "DDPM":  # draws noise in each step
        small_pipe.scheduler = DDPMScheduler.from_config(small_pipe.scheduler.config)
    samples = noise(0.17, 22050)
    settings = {"num_inference_steps": 2, "batch_size": batch_size, "output_type": "np"}
    generators = [torch.Generator().manual_seed(3) for _ in range(2)]
    expected = small_pipe(crops, samples, 22050, fps=25, generator=generators[0], **settings).frames
    chunks = in_chunks(samples, [22, 1000])
    streamed = list(small_pipe.stream(crops, chunks, 22050, fps=25, generator=generators[1], **settings))
    np.testing.assert_array_equal(np.stack(streamed), expected)
    assert torch.equal(*(generator.get_state() for generator in generators))


@pytest.mark.parametrize("form", ["pil", "np", "pt"])
def test_streamed_frames_of_another_size_with_a_reference(small_pipe, form):
    big = np.random.default_rng(0).integers(0, 256, (6, 27, 21, 3), dtype=np.uint8)
    samples = noise(0.3, 16000)
    torch.manual_seed(1)
    expected = small_pipe(
        big, samples, reference_frames=big[3], num_inference_steps=1, batch_size=1, output_type=form
    ).frames
    torch.manual_seed(1)
    streamed = small_pipe.stream(big, [samples], reference_frames=big[3], num_inference_steps=1, output_type=form)
    for one, other in zip(streamed, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def test_a_frame_is_painted_as_soon_as_its_audio_is_there(small_pipe, crops):
    pushed = 0

    def microphone():
        nonlocal pushed
        for chunk in in_chunks(noise(0.4, 16000), [160]):
            pushed += len(chunk)
            yield chunk

    endless = itertools.cycle(crops)
    painted = small_pipe.stream(endless, microphone(), num_inference_steps=1, end_with_audio=True)
    delays = [pushed / 16000 - number / 25 for number, _ in enumerate(painted)]
    assert len(delays) == 10
    assert max(delays[1:6]) <= 0.1725 + 0.01
    assert min(delays[1:6]) >= 0.16


def test_stream_says_what_is_wrong_at_once(small_pipe, crops):
    with pytest.raises(ValueError, match="`generator` is a list"):
        small_pipe.stream(crops, [], generator=[torch.Generator()])
    with pytest.raises(ValueError, match="`batch_size` is 0"):
        small_pipe.stream(crops, [], batch_size=0)
    with pytest.raises(ValueError, match="`sampling_rate` is 0"):
        small_pipe.stream(crops, [], 0)
