"""The right person in the right frames, in films of real faces with the detector that comes with the package."""

from fractions import Fraction

import numpy as np
import pytest
from helpers.face_videos import (
    WOMAN,
    WOMAN_FACE,
    on_background,
    other_person,
    pipeline_that,
    write_speech,
    write_video,
)

from diff2lip_diffusers import FaceBox, FaceNotFoundError, MediaError, load_face_detector, sync_video
from diff2lip_diffusers.lipsync.job import SyncJob
from diff2lip_diffusers.media.reader import VideoInfo, read_rgb
from diff2lip_diffusers.media.video_writer import VideoWriter

OTHER = other_person()
OTHER_FACE = FaceBox(WOMAN.shape[1] - WOMAN_FACE.x2, WOMAN_FACE.y1, WOMAN.shape[1] - WOMAN_FACE.x1, WOMAN_FACE.y2)


def moved(box: FaceBox, x: int, y: int) -> FaceBox:
    return FaceBox(box.x1 + x, box.y1 + y, box.x2 + x, box.y2 + y)


@pytest.fixture
def boxes(monkeypatch) -> list[FaceBox | None]:
    """Where the job pastes, frame by frame."""
    seen = []
    write = SyncJob.write

    def remembered(painted):
        for task, face in painted:
            seen.append(task.box)
            yield task, face

    monkeypatch.setattr(SyncJob, "write", lambda self, painted: write(self, remembered(painted)))
    return seen


@pytest.fixture
def sync(tmp_path, small_pipe):
    """Syncs frames with the real detector, by a pipeline that paints the mouth white."""

    def white_mouth(crops):
        crops = crops.copy()
        crops[:, 10:14, 5:11] = 1
        return crops

    def run(frames, **options):
        video = write_video(tmp_path / "face.mp4", frames, crf=4)
        audio = write_speech(tmp_path / "speech.wav", len(frames) / 25)
        return sync_video(pipeline_that(white_mouth, small_pipe), video, audio, tmp_path / "out.mp4", **options)

    return run


def follows(boxes, expected: list[FaceBox | None]) -> list[bool]:
    """Frame by frame, whether the right face is pasted into, or rightly none."""
    pairs = zip(boxes, expected, strict=True)
    return [box is face if None in (box, face) else box.iou(face) > 0.4 for box, face in pairs]


def test_frames_without_a_face_in_the_middle_pass_through(tmp_path, sync, boxes):
    frames = [on_background([(WOMAN, 200, 60)] if index // 15 != 1 else []) for index in range(45)]
    result = sync(frames)
    face = moved(WOMAN_FACE, 200, 60)
    assert all(follows(boxes, [face] * 15 + [None] * 15 + [face] * 15))
    assert (result.num_frames, result.num_faceless_frames) == (45, 15)
    sources, outputs = list(read_rgb(tmp_path / "face.mp4")), list(read_rgb(tmp_path / "out.mp4"))
    mouth = slice(60 + 158, 60 + 170), slice(200 + 105, 200 + 125)
    changed = [np.abs(a[mouth].astype(int) - b[mouth]).mean() > 20 for a, b in zip(sources, outputs, strict=True)]
    assert changed == [True] * 15 + [False] * 15 + [True] * 15


@pytest.mark.parametrize("follow_the_other", [False, True])
def test_two_people_who_cross_are_told_apart(sync, boxes, follow_the_other):
    """The woman walks from left to right in front of the other one, who comes towards her."""
    places = [(20 + 9 * index, 350 - 9 * index) for index in range(40)]
    frames = [on_background([(OTHER, other, 40), (WOMAN, woman, 60)]) for woman, other in places]
    sync(frames, face=1 if follow_the_other else 0)
    if not follow_the_other:
        right = follows(boxes, [moved(WOMAN_FACE, woman, 60) for woman, _ in places])
        assert np.mean(right) > 0.95
        return
    hidden = [index for index, (woman, other) in enumerate(places) if abs(woman - other) < 200]
    right = follows(boxes, [moved(OTHER_FACE, other, 40) for _, other in places])
    hers = [moved(WOMAN_FACE, woman, 60) for woman, _ in places]
    never_her = [box is None or box.iou(face) < 0.5 for box, face in zip(boxes, hers, strict=True)]
    visible = [index for index in range(40) if index not in hidden]
    assert np.mean([right[index] for index in visible]) > 0.9
    assert all(never_her[index] for index in visible)


def test_a_cut_to_another_person_starts_over(sync, boxes):
    first = [on_background([(WOMAN, 30 + index, 60)]) for index in range(12)]
    second = [255 - on_background([], 640, 360) for _ in range(12)]
    for index, frame in enumerate(second):
        frame[40:320, 350 - index : 350 - index + OTHER.shape[1]] = OTHER
    result = sync([*first, *second])
    expected = [moved(WOMAN_FACE, 30 + index, 60) for index in range(12)]
    expected += [moved(OTHER_FACE, 350 - index, 40) for index in range(12)]
    assert all(follows(boxes, expected))
    assert result.num_faceless_frames == 0


def test_when_the_followed_face_leaves_nobody_else_is_painted(sync, boxes):
    places = [60 - 12 * index for index in range(40)]  # out to the left after about 18 frames
    frames = [on_background([(OTHER, 380, 70), (WOMAN, x, 50)]) for x in places]
    result = sync(frames, face=0)
    assert all(follows(boxes[:10], [moved(WOMAN_FACE, x, 50) for x in places[:10]]))
    assert boxes[-15:] == [None] * 15
    other = moved(OTHER_FACE, 380, 70)
    assert all(box is None or box.iou(other) < 0.1 for box in boxes)
    assert result.num_frames == 40 and result.num_faceless_frames >= 15


@pytest.mark.parametrize(
    "face, at", [("largest", 60), (0, 60), (1, 360), ((470, 150), 360), ((130, 110), 60)], ids=str
)
def test_the_face_can_be_chosen(sync, boxes, face, at):
    small = np.ascontiguousarray(OTHER[::2, ::2].repeat(2, axis=0).repeat(2, axis=1)[: OTHER.shape[0]])
    large = WOMAN
    frames = [on_background([(large, 60, 60), (small, 360, 60)]) for _ in range(5)]
    if face == "largest":
        frames = [on_background([(large, 60, 60), (OTHER[::2, ::2], 400, 100)]) for _ in range(5)]
    sync(frames, face=face)
    expected = moved(WOMAN_FACE if at == 60 else OTHER_FACE, at, 60)
    assert all(follows(boxes, [expected] * 5))


def test_a_face_outside_the_frame_is_refused(sync):
    frames = [on_background([(WOMAN, 200, 60)])] * 5
    with pytest.raises(ValueError, match="`face` is the point 900,10, which is outside the frame of 640x360"):
        sync(frames, face=(900, 10))
    with pytest.raises(FaceNotFoundError, match="no face number 3 found .* count from 0 on the left"):
        sync(frames, face=3)
    with pytest.raises(FaceNotFoundError, match="no face found at 10,10 .* point on a face"):
        sync(frames, face=(10, 10))


# Detections that are kept


def test_kept_detections_take_the_detectors_place(tmp_path, sync, boxes):
    frames = [on_background([(WOMAN, 200 + index, 60)]) for index in range(20)]
    looks = []
    detector = load_face_detector("mtcnn")

    def counting(pictures):
        looks.append(len(pictures))
        return detector(pictures)

    kept = tmp_path / "boxes.jsonl"
    sync(frames, detector=counting, detections=kept)
    first, looked = list(boxes), sum(looks)
    assert kept.exists() and 0 < looked <= 10  # every fourth frame and the last
    sync(frames, detector=counting, detections=kept)
    assert sum(looks) == looked
    assert all(a.iou(b) > 0.97 for a, b in zip(first, boxes[20:], strict=True))
    sync(frames, detector=counting, detections=kept, length="audio", extend="pingpong", face=0)
    assert sum(looks) == looked


def test_detections_of_another_video_are_refused(tmp_path, sync):
    frames = [on_background([(WOMAN, 200, 60)])] * 6
    kept = tmp_path / "boxes.jsonl"
    sync(frames, detections=kept)
    before = kept.read_bytes()
    for other, options in (([frame[:300] for frame in frames], {}), (frames, {"fps": 50}), (frames * 2, {})):
        with pytest.raises(MediaError, match="boxes.jsonl") as caught:
            sync(other, detections=kept, **options)
        assert "\n" not in str(caught.value)
    assert kept.read_bytes() == before


def test_a_failed_job_leaves_no_detections(tmp_path, sync):
    with pytest.raises(RuntimeError, match="broken"):
        sync(
            [on_background([(WOMAN, 200, 60)])] * 20,
            detections=tmp_path / "boxes.jsonl",
            restore=lambda _: (_ for _ in ()).throw(RuntimeError("broken")),
        )
    assert {path.name for path in tmp_path.iterdir()} <= {"face.mp4", "speech.wav", "boxes.jsonl"}


def test_anamorphic_pixels_do_not_matter(tmp_path, sync, boxes, small_pipe):
    """A picture stored half as wide is searched as it is seen."""
    frame = on_background([(WOMAN, 200, 60)])
    info = VideoInfo(320, 360, Fraction(25), None, False, pixel_aspect=Fraction(2), pixel_format="gbrp")
    with VideoWriter(tmp_path / "wide.mp4", width=320, height=360, fps=25, info=info) as writer:
        for _ in range(5):
            writer.write(np.ascontiguousarray(frame[:, ::2]))
    audio = write_speech(tmp_path / "speech.wav", 0.2)
    sync_video(small_pipe, tmp_path / "wide.mp4", audio, tmp_path / "out.mp4", num_inference_steps=1)
    face = moved(WOMAN_FACE, 200, 60)
    assert all(box.iou(FaceBox(face.x1 / 2, face.y1, face.x2 / 2, face.y2)) > 0.5 for box in boxes)
