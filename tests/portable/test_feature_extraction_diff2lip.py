"""Mel windows against the original's recorded ones, resampling against closed forms."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from helpers.recorded import DATA
from hypothesis import given, settings
from hypothesis import strategies as st

from diff2lip_diffusers import Diff2LipFeatureExtractor
from diff2lip_diffusers.portable.resampling_diff2lip import resample

CLIPS = ["speech_real", "speech_synthetic", "silence", "tone", "short", "too_short"]


@pytest.fixture(scope="module")
def recorded():
    return np.load(DATA / "mel.npz")


@pytest.fixture
def extractor():
    return Diff2LipFeatureExtractor()


@pytest.mark.parametrize("clip", CLIPS)
def test_matches_the_recorded_mel_and_windows(extractor, recorded, clip):
    waveform, mel, windows = (recorded[f"{clip}.{kind}"] for kind in ("wav", "mel", "windows"))
    np.testing.assert_allclose(extractor.mel_spectrogram(waveform), mel, atol=1e-4)
    actual = extractor(waveform, sampling_rate=16000, fps=25).mel_windows
    assert actual.shape == windows.shape
    np.testing.assert_allclose(actual, windows, atol=1e-4)


def test_every_form_of_the_same_audio_gives_the_same(extractor, recorded):
    waveform = recorded["speech_real.wav"][:8000]
    expected = extractor.mel_spectrogram(waveform)
    stereo = np.stack([waveform, waveform])
    for form in (torch.from_numpy(waveform), waveform.astype(np.float64), stereo, stereo.T, waveform.tolist()):
        torch.testing.assert_close(extractor.mel_spectrogram(form), expected)


def test_channels_are_averaged(extractor, recorded):
    waveform = recorded["speech_real.wav"][:8000]
    opposite = extractor.mel_spectrogram(np.stack([waveform, -waveform]))
    torch.testing.assert_close(opposite, extractor.mel_spectrogram(np.zeros(8000, np.float32)))


@pytest.mark.parametrize("dtype", [np.int16, np.int32])
def test_integers_are_full_scale(extractor, recorded, dtype):
    waveform = recorded["speech_real.wav"][:8000]
    integers = np.round(waveform * -float(np.iinfo(dtype).min)).astype(dtype)
    torch.testing.assert_close(
        extractor.mel_spectrogram(integers), extractor.mel_spectrogram(waveform), atol=2e-2, rtol=0
    )


def test_long_audio_is_worked_on_in_blocks_without_a_trace(extractor):
    # A period of 800 samples makes every fourth step alike, also across the borders of blocks.
    waveform = np.sin(2 * np.pi * np.arange(16000 * 60) / 800 * 37).astype(np.float32)
    inner = extractor.mel_spectrogram(waveform)[:, 8:-8]
    torch.testing.assert_close(inner[:, 4:], inner[:, :-4], atol=1e-4, rtol=0)


@given(steps=st.integers(0, 400), fps=st.sampled_from([10, 24, 25, 29.97, Fraction(30000, 1001), 30, 50, 60, 100]))
@settings(max_examples=60, deadline=None)
def test_number_of_windows_is_that_of_the_definition(steps, fps):
    extractor = Diff2LipFeatureExtractor()
    rate = 80 / Fraction(fps).limit_denominator(1_000_000)
    count = sum(1 for n in range(600) if int(rate * max(n - 1, 0)) + 16 <= steps)
    assert extractor.count_windows(steps, fps) == (count if count < 600 else extractor.count_windows(steps, fps))


def test_frames_beyond_the_audio_are_completed_with_silence(extractor, recorded):
    waveform = recorded["short.wav"]
    silence = np.zeros(16000, np.float32)
    windows = extractor(waveform, num_frames=40).mel_windows
    assert windows.shape == (40, 80, 16)
    np.testing.assert_allclose(windows[:2], recorded["short.windows"], atol=1e-4)
    torch.testing.assert_close(windows[-1], extractor(silence).mel_windows[0])


def test_windows_follow_the_frame_rate(extractor):
    mel = torch.arange(400.0).expand(80, 400)
    for fps in (25, 30, Fraction(30000, 1001), 50):
        starts = extractor.windows(mel, range(60), fps)[:, 0, 0].tolist()
        assert starts == [int(80 * max(n - 1, 0) / fps) for n in range(60)]


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000, 44099])
def test_resampling_keeps_a_sine(rate):
    time_s = torch.arange(rate // 2, dtype=torch.float64) / rate
    out = resample(torch.sin(2 * torch.pi * 1000 * time_s).float(), rate, 16000)
    assert len(out) == -(-(rate // 2) * 16000 // rate)
    expected = torch.sin(2 * torch.pi * 1000 * torch.arange(len(out), dtype=torch.float64) / 16000).float()
    # Both ends lack neighbors.
    torch.testing.assert_close(out[800:-800], expected[800:-800], atol=3e-4, rtol=0)


def test_resampling_removes_what_the_new_rate_cannot_hold():
    time_s = torch.arange(24000, dtype=torch.float64) / 48000
    out = resample(torch.sin(2 * torch.pi * 12000 * time_s).float(), 48000, 16000)
    assert out[800:-800].abs().max() < 1e-3


def test_saved_numbers_come_back(extractor, tmp_path):
    Diff2LipFeatureExtractor(fps=30.0, hop_length=160).save_pretrained(tmp_path)
    assert (tmp_path / "preprocessor_config.json").is_file()
    again = Diff2LipFeatureExtractor.from_pretrained(tmp_path)
    assert (again.fps, again.hop_length, again.max_frequency_hz) == (30.0, 160, 7600.0)


@pytest.mark.parametrize(
    ("audio", "arguments", "message"),
    [
        (np.zeros((2, 3, 4)), {}, "`audio` has shape"),
        (np.zeros(0), {}, "`audio` is empty"),
        (np.zeros((500, 500)), {}, "`audio` has shape"),
        (np.array([0.0, np.nan]), {}, "not finite"),
        (np.zeros(8000), {"sampling_rate": 0}, "`sampling_rate` is 0"),
        (np.zeros(8000), {"sampling_rate": 22050.5}, "`sampling_rate` is 22050.5"),
        (np.zeros(8000), {"fps": 0}, "`fps` is 0"),
        (np.zeros(8000), {"fps": float("nan")}, "`fps` is nan"),
    ],
)
def test_bad_arguments_are_named(extractor, audio, arguments, message):
    with pytest.raises(ValueError, match=message):
        extractor(audio, **arguments)


def test_unknown_backend_is_named():
    with pytest.raises(ValueError, match="`backend` is 'librosa'"):
        Diff2LipFeatureExtractor(backend="librosa")


def test_torchaudio_computes_the_same(extractor, recorded):
    try:
        import torchaudio  # noqa: F401
    except (ImportError, OSError):
        with pytest.raises(ImportError, match="no working torchaudio"):
            Diff2LipFeatureExtractor(backend="torchaudio")(recorded["tone.wav"])
        pytest.skip("no working torchaudio is installed")
    other = Diff2LipFeatureExtractor(backend="torchaudio").mel_spectrogram(recorded["speech_real.wav"])
    torch.testing.assert_close(other, extractor.mel_spectrogram(recorded["speech_real.wav"]), atol=1e-4, rtol=0)
