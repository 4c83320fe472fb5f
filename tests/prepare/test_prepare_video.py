import json
import wave
from dataclasses import astuple
from itertools import islice

import numpy as np
import pytest
from helpers.face_videos import WOMAN, on_background, other_person, write_speech, write_video
from helpers.numbered_clips import noise, write_wav
from helpers.prepare_films import FACE, HEIGHT, PLACE, WIDTH, other_place, portrait, write_boxes, write_talk

from diff2lip_diffusers.errors import MediaError
from diff2lip_diffusers.lipsync.compositing import resize_image
from diff2lip_diffusers.media.reader import read_rgb
from diff2lip_diffusers.prepare.prepare_options import PrepareOptions
from diff2lip_diffusers.prepare.prepare_video import prepare_video
from diff2lip_diffusers.prepare.set_folder import SetFolder
from diff2lip_diffusers.prepare.source_videos import find_videos
from diff2lip_diffusers.prepare.video_audio import read_speech

OPTIONS = PrepareOptions(size_px=48)


@pytest.fixture
def prepare(tmp_path):
    """Prepares one video; returns its record."""
    folder = SetFolder(tmp_path / "set")

    def run(path, options=OPTIONS, measure_sync=None):
        folder.open(options, None)
        with folder.exclusive():
            return prepare_video(find_videos([path])[0], folder, options, measure_sync)

    return run


def sound_of(tmp_path, name) -> np.ndarray:
    with wave.open(str(tmp_path / "set" / "clips" / f"{name}.wav")) as file:
        return np.frombuffer(file.readframes(10**9), "<i2")


def dropped(record):
    return [(segment["reason"], segment["start_s"], segment["frames"]) for segment in record["dropped"]]


def test_crops_are_those_that_the_model_sees(tmp_path, prepare):
    film = write_talk(tmp_path / "talk.mp4", 30)
    record = prepare(film)
    x1, y1, x2, y2 = astuple(FACE)
    direct = [resize_image(frame[y1:y2, x1:x2], 48, 48).astype(float) for frame in read_rgb(film)]
    kept = list(read_rgb(tmp_path / "set" / "clips" / "talk_000.mp4"))
    assert len(kept) == len(direct) == record["clips"][0]["frames"] == 30
    errors = [np.abs(one - other).mean() for one, other in zip(direct, kept, strict=True)]
    assert max(errors) < 2
    # Each is its own frame, not the next one: they differ in brightness.
    shown, wanted = (np.array([picture.mean() for picture in pictures]) for pictures in (kept, direct))
    assert np.abs(shown[:, None] - wanted).argmin(axis=1).tolist() == list(range(30))


def test_the_sound_of_a_clip_is_cut_to_the_sample(tmp_path, prepare):
    """Two shots with a pause between; the sound has no two alike samples."""
    frames = [portrait()] * 30 + [other_place()] * 10 + [255 - portrait()] * 35
    film = write_talk(tmp_path / "talk.mp4", frames=frames, boxes=[FACE] * 30 + [None] * 10 + [FACE] * 35, speech=None)
    samples = noise(1, 75 * 640)
    write_wav(tmp_path / "talk.wav", samples, 16000, "mono")
    record = prepare(film)
    assert [(clip["start_s"], clip["frames"]) for clip in record["clips"]] == [(0, 30), (1.6, 35)]
    assert np.array_equal(sound_of(tmp_path, "talk_000"), samples[0, : 30 * 640])
    assert np.array_equal(sound_of(tmp_path, "talk_001"), samples[0, 40 * 640 :])
    assert dropped(record) == [("no face", 1.2, 10)]


def test_long_shots_are_cut_with_their_sound(tmp_path, prepare):
    film = write_talk(tmp_path / "talk.mp4", 55, speech="beside")
    record = prepare(film, PrepareOptions(size_px=48, min_seconds=0.4, max_seconds=1))
    counts = [clip["frames"] for clip in record["clips"]]
    assert sum(counts) == 55 and max(counts) <= 25 and not record["dropped"]
    joined = np.concatenate([sound_of(tmp_path, clip["name"]) for clip in record["clips"]])
    assert np.array_equal(joined, read_speech(find_videos([film])[0]))


def test_other_frame_rates_become_25(tmp_path, prepare):
    film = write_video(tmp_path / "talk.mp4", [portrait(number) for number in range(50)], fps=50)
    write_speech(tmp_path / "talk.wav", 1)
    write_boxes(film, [FACE] * 25)  # at 25 a second, as they are asked for
    (clip,) = prepare(film)["clips"]
    assert clip["frames"] == 25


def test_where_the_sound_ends(tmp_path, prepare):
    film = write_talk(tmp_path / "talk.mp4", 60, speech=None)
    write_wav(tmp_path / "talk.wav", noise(1, 33 * 640 + 5), 16000, "mono")
    record = prepare(film)
    assert [clip["frames"] for clip in record["clips"]] == [38]
    assert dropped(record) == [("no sound", 1.52, 22)]
    assert "the audio ends after 1.32 s" in record["dropped"][0]["detail"]
    samples = sound_of(tmp_path, "talk_000")
    assert len(samples) == 38 * 640 and not samples[33 * 640 + 5 :].any() and samples[: 33 * 640].any()


def test_what_is_dropped_says_why(tmp_path, prepare):
    small = np.ascontiguousarray(WOMAN[::3, ::3])
    small_box = FACE.padded(-10, -10, -10, -10)
    blurred = portrait()
    for _ in range(12):
        blurred = (
            (blurred.astype(int) + np.roll(blurred, 2, 0) + np.roll(blurred, 2, 1) + np.roll(blurred, -2, 1)) // 4
        ).astype(np.uint8)
    shots = [
        ([portrait()] * 30, FACE, None),
        ([other_place()] * 26, None, "no face"),
        ([portrait()] * 20, FACE, "too short"),
        ([255 - on_background([(small, *PLACE)], WIDTH, HEIGHT)] * 30, small_box.scaled(0.5, 0.5), "too small"),
        ([blurred] * 30, FACE, "blurred"),
    ]
    frames = [frame for shot, _, _ in shots for frame in shot]
    boxes = [box for shot, box, _ in shots for _ in shot]
    record = prepare(write_talk(tmp_path / "talk.mp4", frames=frames, boxes=boxes))
    assert [clip["frames"] for clip in record["clips"]] == [30]
    starts = np.cumsum([0] + [len(shot) for shot, _, _ in shots])
    expected = [(why, starts[n] / 25, len(shot)) for n, (shot, _, why) in enumerate(shots) if why]
    assert dropped(record) == expected
    details = {segment["reason"]: segment["detail"] for segment in record["dropped"]}
    assert details["too short"] == "0.80 s, expected at least 1 s"
    assert details["too small"] == "the face has 40 pixels, expected at least 64"
    assert details["blurred"].startswith("sharpness 0.0") and details["blurred"].endswith(", expected at least 0.01")
    pictures = tmp_path / "set" / "report"
    assert all((pictures / shown["picture"]).exists() for shown in record["dropped"] + record["clips"])


def test_a_pause_in_the_sound_is_silent(tmp_path, prepare):
    film = write_talk(tmp_path / "talk.mp4", frames=[portrait()] * 30 + [255 - portrait()] * 30, speech=None)
    write_wav(tmp_path / "talk.wav", np.pad(noise(1, 30 * 640), ((0, 0), (0, 30 * 640))), 16000, "mono")
    record = prepare(film)
    assert len(record["clips"]) == 1 and dropped(record) == [("silent", 1.2, 30)]


def test_a_silent_video(tmp_path, prepare):
    record = prepare(write_talk(tmp_path / "talk.mp4", 30, speech=None))
    assert not record["clips"] and dropped(record) == [("no sound", 0, 30)]
    assert record["dropped"][0]["detail"] == "the video is silent, and there is no talk.wav beside it"


@pytest.mark.parametrize("content", [b"", b"this is no video", bytes(5000)])
def test_what_is_no_video(tmp_path, prepare, content):
    (tmp_path / "talk.mp4").write_bytes(content)
    record = prepare(tmp_path / "talk.mp4")
    (only,) = record["dropped"]
    assert only["reason"] == "unreadable" and "talk.mp4" in only["detail"] and only["picture"] is None


def test_damaged_boxes_drop_the_video(tmp_path, prepare):
    film = write_talk(tmp_path / "talk.mp4", 40)
    boxes = film.with_name("talk.boxes.jsonl")
    boxes.write_text("".join(boxes.read_text().splitlines(keepends=True)[:-1]))
    record = prepare(film)
    assert not record["clips"] and record["dropped"][0]["reason"] == "unreadable"
    assert "talk.boxes.jsonl: is not a complete file of detections" in record["dropped"][0]["detail"]


def test_boxes_of_a_shorter_video_leave_nothing_half_done(tmp_path, prepare):
    film = write_talk(tmp_path / "talk.mp4", frames=[portrait()] * 30 + [255 - portrait()] * 30)
    write_boxes(film, [FACE] * 45)
    record = prepare(film)
    assert not record["clips"] and [segment["reason"] for segment in record["dropped"]] == ["unreadable"]
    assert not any((tmp_path / "set" / "clips").iterdir()) and not any((tmp_path / "set" / "report").iterdir())


def test_the_detector_finds_the_largest_face(tmp_path, prepare):
    """Without a file of boxes."""
    frame = on_background([(WOMAN, 20, 20), (other_person()[::2, ::2], 300, 60)], 440, 320)
    write_speech(tmp_path / "speech.wav", 1.2)
    film = write_video(tmp_path / "talk.mp4", [frame] * 30, audio=tmp_path / "speech.wav")
    (clip,) = prepare(film)["clips"]
    crop = next(read_rgb(tmp_path / "set" / "clips" / "talk_000.mp4"))
    her_face = frame[20 + 72 : 20 + 204, 20 + 64 : 20 + 164]
    assert clip["frames"] == 30 and 70 < clip["face_px"] < 120
    assert crop.mean() > her_face.mean() > other_person()[72:204, 76:176].mean() + 40


# Sync


def late_by(offset, confidence=0.5):
    return lambda crops, samples: (offset, confidence)


@pytest.mark.parametrize("offset, start, count", [(4, 0, 51), (0, 0, 50), (-3, 3, 47), (-15, 15, 35)])
def test_sound_that_is_late_is_read_later(tmp_path, prepare, offset, start, count):
    film = write_talk(tmp_path / "talk.mp4", 50, speech=None)
    samples = noise(1, 50 * 640)
    write_wav(tmp_path / "talk.wav", samples, 16000, "mono")
    (clip,) = prepare(film, measure_sync=late_by(offset))["clips"]
    count = min(count, 50 - start)
    assert (clip["start_s"], clip["frames"]) == (start / 25, count)
    assert (clip["offset_frames"], clip["confidence"]) == (offset, 0.5)
    expected = samples[0, (start + offset) * 640 :][: count * 640]
    assert np.array_equal(sound_of(tmp_path, "talk_000")[: len(expected)], expected)
    pictures = list(read_rgb(tmp_path / "set" / "clips" / "talk_000.mp4"))
    source = next(islice(read_rgb(film), start, None))
    x1, y1, x2, y2 = astuple(FACE)
    assert len(pictures) == count
    assert abs(pictures[0].mean() - resize_image(source[y1:y2, x1:x2], 48, 48).mean()) < 0.35


def test_pictures_beyond_the_moved_sound_are_left_out(tmp_path, prepare):
    film = write_talk(tmp_path / "talk.mp4", 50, speech=None)
    samples = noise(1, 50 * 640)
    write_wav(tmp_path / "talk.wav", samples, 16000, "mono")
    (clip,) = prepare(film, measure_sync=late_by(12))["clips"]
    assert (clip["start_s"], clip["frames"]) == (0, 38)
    assert np.array_equal(sound_of(tmp_path, "talk_000"), samples[0, 12 * 640 :])
    record = prepare(write_talk(tmp_path / "short.mp4", 30, speech="beside"), measure_sync=late_by(12))
    assert dropped(record) == [("too short", 0, 30)]


def test_sound_that_does_not_fit_is_dropped(tmp_path, prepare):
    options = PrepareOptions(size_px=48, syncnet="net", min_lse_c=0.3)
    film = write_talk(tmp_path / "talk.mp4", 30)
    (only,) = prepare(film, options, late_by(2, 0.29))["dropped"]
    assert (only["reason"], only["detail"]) == ("off sync", "LSE-C 0.29 at +2 frames, expected at least 0.3")
    assert len(prepare(film, options, late_by(2, 0.31))["clips"]) == 1


def test_what_the_measure_sees(tmp_path, prepare):
    film = write_talk(tmp_path / "talk.mp4", 40, speech="beside")
    seen = []
    prepare(film, measure_sync=lambda crops, samples: seen.append((np.stack(crops), samples)) or (0, 1.0))
    ((crops, samples),) = seen
    assert crops.shape == (40, 48, 48, 3) and crops.dtype == np.uint8
    assert np.array_equal(samples, read_speech(find_videos([film])[0]))


# The folder


def test_a_folder_that_cannot_be_written_ends_the_run(tmp_path, prepare, monkeypatch):
    film = write_talk(tmp_path / "talk.mp4", 30)
    monkeypatch.setattr("diff2lip_diffusers.prepare.clip_files.wave.open", _full_disk)
    with pytest.raises(MediaError, match="cannot be written: No space left on device; .* make room"):
        prepare(film)
    left = [path.name for path in (tmp_path / "set").rglob("*") if path.is_file()]
    assert sorted(left) == ["prepare.json", "settings.json"]


def _full_disk(name, *_args, **_options):
    raise OSError(28, "No space left on device")


def test_a_record_is_written_and_read_as_json(tmp_path, prepare):
    record = prepare(write_talk(tmp_path / "talk.mp4", 30))
    read = json.loads((tmp_path / "set" / ".diff2lip" / "videos" / "talk.json").read_text())
    clips = (tmp_path / "set" / "clips").iterdir()
    assert read == record | {"sizes": {path.name: path.stat().st_size for path in clips}}
    assert not any((tmp_path / "set" / ".diff2lip" / "unfinished").iterdir())
