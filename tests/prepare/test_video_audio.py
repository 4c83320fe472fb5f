import numpy as np
import pytest
import torch
from helpers.face_videos import write_speech, write_video
from helpers.numbered_clips import noise, numbered_frame, write_clip, write_wav
from helpers.prepare_films import portrait

from diff2lip_diffusers.errors import NoAudioError
from diff2lip_diffusers.lipsync.speech import resampled_blocks
from diff2lip_diffusers.media.reader import read_audio
from diff2lip_diffusers.portable.resampling_diff2lip import resample
from diff2lip_diffusers.prepare.source_videos import find_videos
from diff2lip_diffusers.prepare.video_audio import is_silent, read_speech


def video(path):
    return find_videos([path])[0]


@pytest.mark.parametrize("rate", [16000, 44100, 48000, 11025])
def test_blocks_resampled_one_by_one_are_the_whole_resampled(rate):
    samples = noise(2, round(23.4567 * rate))
    cuts = [0, 1, 500, rate // 3, 9 * rate, 9 * rate, 20 * rate + 7, samples.shape[1]]
    blocks = [samples[:, first:last] for first, last in zip(cuts, cuts[1:], strict=False)]
    pieces = np.concatenate(list(resampled_blocks(blocks, rate, 16000)))
    whole = resample(torch.from_numpy(samples.mean(axis=0, dtype=np.float32) / 32768), rate, 16000).numpy()
    assert pieces.shape == whole.shape
    np.testing.assert_allclose(pieces, whole, atol=1e-6)


def test_nothing_resampled_is_nothing():
    assert list(resampled_blocks([], 44100, 16000)) == []


def test_sound_at_16_khz_comes_to_the_bit(tmp_path):
    samples = noise(1, 16000)
    write_clip(tmp_path / "a.mkv", [numbered_frame(number) for number in range(25)], audio=(samples, 16000))
    assert np.array_equal(read_speech(video(tmp_path / "a.mkv")), samples[0])


def test_other_rates_are_resampled_as_for_the_model(tmp_path):
    write_clip(tmp_path / "a.mkv", [numbered_frame(number) for number in range(25)], audio=(noise(2, 44100), 44100))
    expected = resample(torch.from_numpy(read_audio(tmp_path / "a.mkv")[0]), 44100, 16000).numpy()
    sound = read_speech(video(tmp_path / "a.mkv"))
    assert sound.dtype == np.int16 and np.abs(sound / 32768 - expected.clip(-1, 1)).max() <= 0.51 / 32768


def test_the_wave_file_beside_counts_only_for_a_silent_video(tmp_path):
    beside = noise(1, 4000)
    write_wav(tmp_path / "a.wav", beside, 16000, "mono")
    for name, sound in (("a.mkv", None), ("a.mov", np.ones((1, 16000), np.int16))):
        write_clip(tmp_path / name, [numbered_frame(0)] * 25, audio=sound if sound is None else (sound, 16000))
        assert np.array_equal(read_speech(video(tmp_path / name)), beside[0])
    write_speech(tmp_path / "own.wav", 1)
    write_video(tmp_path / "a.mp4", [portrait()] * 25, audio=tmp_path / "own.wav")
    assert len(read_speech(video(tmp_path / "a.mp4"))) == pytest.approx(16000, abs=1100)


def test_no_sound_anywhere(tmp_path):
    write_clip(tmp_path / "a.mkv", [numbered_frame(0)] * 5)
    with pytest.raises(NoAudioError, match="a.mkv"):
        read_speech(video(tmp_path / "a.mkv"))


def test_silence_is_60_db_below_full_scale():
    wave = np.sin(np.arange(16000) / 10) * np.sqrt(2)
    assert is_silent(np.round(31 * wave).astype(np.int16)) and not is_silent(np.round(35 * wave).astype(np.int16))
    assert is_silent(np.zeros(0, np.int16))
