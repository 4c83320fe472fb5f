"""The demo's parts, and the demo itself."""

import numpy as np
import pytest

from diff2lip_diffusers.demo import (
    DURATION_S,
    FPS,
    SAMPLING_RATE,
    draw_face,
    run_demo,
    untrained_pipeline,
    write_voice,
)
from diff2lip_diffusers.media import probe_video, read_audio


def test_face_is_a_picture_that_moves():
    first, later = draw_face(0.5), draw_face(1.0)
    assert first.shape == later.shape == (384, 384, 3)
    assert first.dtype == np.uint8
    assert 0.5 < np.abs(first.astype(int) - later).mean() < 20


def test_voice_is_loud_and_of_its_length(tmp_path):
    write_voice(tmp_path / "voice.wav")
    samples, rate = read_audio(tmp_path / "voice.wav")
    assert (len(samples), rate) == (SAMPLING_RATE * DURATION_S, SAMPLING_RATE)
    assert 0.05 < np.sqrt((samples**2).mean()) < 0.5


def test_untrained_pipeline_is_repeatable():
    first, second = (untrained_pipeline(16) for _ in range(2))
    assert all((a == b).all() for a, b in zip(first.unet.parameters(), second.unet.parameters(), strict=True))


@pytest.mark.slow
def test_demo_writes_the_whole_clip(tmp_path):
    result = run_demo(tmp_path / "demo.mp4")
    info = probe_video(tmp_path / "demo.mp4")
    assert result.num_frames == FPS * DURATION_S
    assert (info.width, info.height, info.fps, info.has_audio) == (384, 384, FPS, True)
