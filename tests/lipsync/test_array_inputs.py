"""Frames and audio in memory instead of files."""

import wave

import numpy as np
import PIL.Image
import pytest
import torch
from helpers.untrained import untrained_pipeline

from diff2lip_diffusers import sync_video
from diff2lip_diffusers.lipsync.array_inputs import input_files
from diff2lip_diffusers.media.reader import read_audio, read_frames

FRAMES = np.random.default_rng(0).integers(0, 256, (6, 64, 48, 3), dtype=np.uint8)
SPEECH = np.random.default_rng(1).uniform(-0.9, 0.9, 4800).astype(np.float32)


def write_wav(path, samples) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes((samples * 32768).round().astype("<i2").tobytes())


@pytest.mark.parametrize(
    "frames",
    [
        FRAMES,
        torch.from_numpy(FRAMES).permute(0, 3, 1, 2),
        [PIL.Image.fromarray(frame) for frame in FRAMES],
        list(FRAMES),
        FRAMES / np.float32(255),
        torch.from_numpy(FRAMES).permute(0, 3, 1, 2) / 255,
    ],
    ids=["array", "tensor", "images", "arrays", "floats", "float tensor"],
)
def test_frames_of_any_form_arrive_unchanged(frames):
    with input_files(frames, None) as (folder, audio):
        read = np.stack([frame.rgb() for frame in read_frames(folder)])
    assert audio is None and not folder.exists()
    np.testing.assert_array_equal(read, FRAMES)


def test_frames_and_samples_give_the_video_that_files_give(tmp_path):
    pipe = untrained_pipeline(sample_size=16)
    (tmp_path / "frames").mkdir()
    for index, frame in enumerate(FRAMES):
        PIL.Image.fromarray(frame).save(tmp_path / "frames" / f"{index:03d}.png")
    write_wav(tmp_path / "speech.wav", SPEECH)
    steps = []

    def on_step(pipe, step, timestep, tensors):
        steps.append((step, tensors["latents"].shape[1:]))
        return {}

    options = {"box": (8, 8, 40, 56), "num_inference_steps": 2, "fps": 25, "seed": 3}
    sync_video(pipe, tmp_path / "frames", tmp_path / "speech.wav", tmp_path / "a.mp4", **options)
    result = sync_video(pipe, FRAMES, (SPEECH, 16000), tmp_path / "b.mp4", callback_on_step_end=on_step, **options)
    assert result.num_frames == len(FRAMES)
    files, arrays = (np.stack([frame.rgb() for frame in read_frames(tmp_path / name)]) for name in ("a.mp4", "b.mp4"))
    np.testing.assert_allclose(arrays.astype(int), files.astype(int), atol=2)
    heard, spoken = (read_audio(tmp_path / name)[0] for name in ("a.mp4", "b.mp4"))
    np.testing.assert_array_equal(heard, spoken)
    assert [step for step, _ in steps] == [0, 1] * (len(steps) // 2) and steps
    assert {shape for _, shape in steps} == {(3, 16, 16)}


@pytest.mark.parametrize(
    ("video", "audio", "message"),
    [
        (FRAMES[..., :1], None, "`video` has frames of shape"),
        (FRAMES.astype(np.float32), None, r"outside \[0, 1\]"),
        ([FRAMES[0], FRAMES[1, :32]], None, "`video` has frames of several sizes"),
        ([], None, "`video` is empty"),
        (3, None, "`video` is a int"),
        (FRAMES, SPEECH, r"`audio` is no path and no pair, expected samples and their sampling rate"),
        (FRAMES, (SPEECH * 1000, 16000), "`audio` has values up to"),
        (FRAMES, (SPEECH, 0), "`audio` has a sampling rate of 0"),
    ],
)
def test_what_is_no_video_or_audio_is_named(video, audio, message):
    with pytest.raises(ValueError, match=message), input_files(video, audio):
        pass
