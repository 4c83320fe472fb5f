"""Frames that take much memory: searched without being held, and refused beyond the limit."""

import re
from fractions import Fraction

import numpy as np
import pytest
import torch
from helpers.face_videos import write_speech, write_video

from diff2lip_diffusers import Detection, FaceBox, sync_video
from diff2lip_diffusers.errors import MediaError
from diff2lip_diffusers.lipsync import face_boxes
from diff2lip_diffusers.lipsync.face_boxes import BoxedFrames
from diff2lip_diffusers.lipsync.options import SyncOptions
from diff2lip_diffusers.lipsync.source_video import SourceVideo
from diff2lip_diffusers.lipsync.stage_timer import StageTimer
from diff2lip_diffusers.media.video_encoder import VideoEncoder


def moving_face(thumbnails) -> list[list[Detection]]:
    """A face where the brightest row and column cross, none in dark frames."""
    found = []
    for thumbnail in thumbnails:
        light = thumbnail.astype(int).sum(axis=-1)
        x, y = int(light.sum(axis=0).argmax()), int(light.sum(axis=1).argmax())
        box = FaceBox(x - 12, y - 16, x + 12, y + 16)
        found.append([Detection(box, 1.0)] if light.max() > 300 else [])
    return found


@pytest.fixture
def clip(tmp_path):
    frames = np.random.default_rng(0).integers(0, 60, (24, 96, 128, 3), dtype=np.uint8)
    for number in (*range(10), *range(13, 24)):
        frames[number, 40 + number // 2], frames[number, :, 50 + number] = 200, 220
    return write_video(tmp_path / "face.mkv", frames, codec="ffv1"), write_speech(tmp_path / "speech.wav", 1.4)


@pytest.mark.parametrize("options", [{}, {"length": "audio"}, {"detail": "video"}])
def test_a_search_that_holds_no_frames_writes_the_same(clip, tmp_path, small_pipe, monkeypatch, options):
    options = {"detector": moving_face, "num_inference_steps": 1} | options
    sync_video(small_pipe, *clip, tmp_path / "held.mp4", **options)
    monkeypatch.setattr(face_boxes, "HEAVY_BYTES", 0)
    sync_video(small_pipe, *clip, tmp_path / "again.mp4", **options)
    assert (tmp_path / "held.mp4").read_bytes() == (tmp_path / "again.mp4").read_bytes()


def test_a_search_that_yields_nothing_yet_can_be_stopped(clip, monkeypatch):
    monkeypatch.setattr(face_boxes, "HEAVY_BYTES", 0)
    searched = []

    def detector(thumbnails):
        searched.extend(thumbnails)
        return moving_face(thumbnails)

    options = SyncOptions(detector=detector, detection_stride=1)
    arguments = SourceVideo(clip[0]), Fraction(25), 0, None, options, torch.device("cpu"), StageTimer()
    assert list(BoxedFrames(*arguments, is_stopped=lambda: len(searched) > 10)) == []
    assert len(searched) < 24


def test_deep_frames_beyond_the_limit_are_refused(tmp_path, small_pipe):
    video, audio = tmp_path / "face.mkv", write_speech(tmp_path / "speech.wav", 0.5)
    encoder = VideoEncoder(video, width=2560, height=1440, fps=25, codec="ffv1", lossless=True)
    encoder._encoding = encoder._encoding.__class__("ffv1", "yuv444p16le", {"slices": "4"})
    encoder.open(video)
    with encoder:
        encoder.write(np.zeros((1440, 2560, 3), np.uint8))
    told = "2560 x 1440 pixels in yuv444p16le, 22 MB each, more than the limit of 12; .*(--max-pixels 7372800)"
    options = {"box": (0, 0, 64, 64), "num_inference_steps": 1}
    with pytest.raises(MediaError, match=re.sub(r"[()]", r"\\\g<0>", told)):
        sync_video(small_pipe, video, audio, tmp_path / "out.mp4", max_pixels=4_000_000, **options)
    sync_video(small_pipe, video, audio, tmp_path / "out.mp4", **options)
