"""Idle clips, cameras, and what a machine carries."""

from fractions import Fraction

import cv2
import numpy as np
import pytest
from helpers.face_videos import WOMAN, WOMAN_FACE, on_background, write_video
from helpers.live_faces import demo_idle_clip, loudness_pipeline, manual_engine, play, words
from helpers.untrained import untrained_pipeline

from diff2lip_diffusers import Detection, Diff2LipPipeline, Diff2LipPipelineOutput, FaceNotFoundError, MediaError
from diff2lip_diffusers.demo.demo_clip import load_demo_clip
from diff2lip_diffusers.lipsync import face_boxes
from diff2lip_diffusers.live import Camera, IdleClip, LiveLipSync, SessionRefusedError, measure_capacity
from diff2lip_diffusers.live.idle_clip import is_shown, ping_pong
from diff2lip_diffusers.live.painting import LivePainting


@pytest.fixture(scope="module")
def pipe():
    return loudness_pipeline()


@pytest.fixture(scope="module")
def clip_file(tmp_path_factory):
    frames = [on_background([(WOMAN, 20 + number, 4)], 320, 288) for number in range(4)]
    return write_video(tmp_path_factory.mktemp("idle") / "listening.mp4", frames)


def test_a_clip_goes_forward_and_backward_without_a_jump():
    assert [ping_pong(tick, 4) for tick in range(9)] == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert [ping_pong(tick, 2) for tick in range(5)] == [0, 1, 0, 1, 0]
    assert [ping_pong(tick, 1) for tick in range(3)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("fps", "kept"),
    [(25, [0, 1, 2, 3, 4, 5]), (20, [0, 1, 2, 3, 5, 6]), (12.5, [0, 2, 4, 6, 8, 10]), (10, [0, 2, 5, 7])],
)
def test_lower_rates_show_fewer_frames_with_the_same_faces(fps, kept):
    assert [number for number in range(kept[-1] + 1) if is_shown(number, Fraction(fps) / 25)] == kept


def test_a_clip_at_a_lower_rate_has_the_faces_of_25_frames_a_second(pipe):
    drawn = load_demo_clip()
    all_frames = IdleClip(pipe, drawn.video, 25, drawn.boxes).frames
    fewer = IdleClip(pipe, drawn.video, 12.5, drawn.boxes).frames
    assert len(fewer) == (len(all_frames) + 1) // 2
    for one, other in zip(fewer, all_frames[::2], strict=True):
        assert one.box == other.box
        np.testing.assert_array_equal(one.rgb, other.rgb)


def test_the_faces_of_a_clip_are_found_once(pipe, clip_file, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = IdleClip(pipe, clip_file)
    (kept,) = tmp_path.rglob("*.jsonl")
    assert len(first.frames) == 4 and (first.width, first.height) == (320, 288)
    monkeypatch.setattr(face_boxes, "load_face_detector", lambda *_: pytest.fail("the detector ran again"))
    second = IdleClip(pipe, clip_file.rename(tmp_path / "renamed.mp4"))
    assert [shown.box for shown in second.frames] == [shown.box for shown in first.frames]
    kept.unlink()
    (tmp_path / "renamed.mp4").rename(clip_file)


def test_a_clip_that_is_too_large_or_has_no_face_is_refused(pipe, clip_file, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(MediaError, match="do not fit in memory; cut it, or shrink it"):
        IdleClip(pipe, clip_file, max_bytes=500_000)
    wall = write_video(tmp_path / "wall.mp4", [on_background([], 320, 288)] * 2)
    with pytest.raises(FaceNotFoundError, match="no face found"):
        IdleClip(pipe, wall)


class BlurredPainter(Diff2LipPipeline):
    """Paints the face as it was, but blurred."""

    def __call__(self, frames, **_arguments):
        return Diff2LipPipelineOutput(frames=np.stack([cv2.GaussianBlur(one, (0, 0), 1.5) for one in frames]) / 255)


def test_detail_brings_a_blurred_mouth_closer_to_that_of_the_clip():
    pipe = BlurredPainter(**untrained_pipeline(sample_size=16).components)
    pipe.unet.register_to_config(sample_size=64)
    errors = []
    for detail in (False, True):
        clip = demo_idle_clip(pipe, 6)
        engine = manual_engine(pipe, clip, settings=LivePainting(detail=detail))
        with engine.open_session(rests=False) as session:
            session.push_audio(words(0.5), 16000)
            frames = [frame for frame in play(engine, session, 0.6) if frame.is_speech]
        assert len(frames) > 8 and not any(frame.is_late for frame in frames)
        for frame in frames:
            shown = clip.at(frame.number)
            changed = (frame.picture != shown.rgb).any(axis=2)
            changed[shown.area] = False
            assert not changed.any()  # only the face
        pairs = [(frame.picture, clip.at(frame.number)) for frame in frames]
        errors.append(np.mean([np.abs(a[b.area].astype(int) - b.rgb[b.area]).mean() for a, b in pairs]))
    assert errors[1] < 0.9 * errors[0]


def test_a_camera_shows_its_newest_frame_with_the_face(pipe):
    seen = []

    def detector(thumbnails):
        seen.append(thumbnails[0].shape)
        return [[Detection(WOMAN_FACE.padded(0, 0, 10, 10), 1.0)] for _ in thumbnails]

    camera = Camera(pipe, 240, 280, detector)
    engine = manual_engine(pipe, camera)
    pictures = [np.full_like(WOMAN, number) for number in range(80)]
    with engine.open_session(rests=False) as session:
        session.push_audio(words(1.0), 16000)
        numbers = iter(range(80))
        frames = list(play(engine, session, 0.6, lambda _time_s: camera.push(pictures[next(numbers)])))
        assert [int(frame.picture[0, 0, 0]) for frame in frames] == sorted(
            int(frame.picture[0, 0, 0]) for frame in frames
        )
        painted = [frame.picture for frame in frames if frame.is_speech and not frame.is_late]
        assert painted and all(np.ptp(picture) > 20 for picture in painted[3:])
    assert len(seen) == 4 and seen[0] == (280, 240, 3)
    with pytest.raises(ValueError, match=r"expected uint8 \(280, 240, 3\)"):
        camera.push(np.zeros((10, 10, 3), np.uint8))


def test_a_machine_that_is_too_slow_refuses_at_once(pipe, small_pipe):
    assert measure_capacity(pipe, max_sessions=2).sessions == 2  # painting without a network takes no time
    engine = LiveLipSync(small_pipe, fps=9000)
    assert engine.capacity.sessions == 0 and engine.capacity.batch_s > 0
    with pytest.raises(SessionRefusedError, match="does not keep 9000 frames/s even for one session; lower `fps`"):
        engine.open_session(Camera(small_pipe, 240, 280, lambda _: [[]]))
