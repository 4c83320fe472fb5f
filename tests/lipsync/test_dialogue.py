"""Dialogues: two faces in one video, each with its own recording; and a recording that drives what others hear."""

import json
import wave
from fractions import Fraction

import av
import numpy as np
import pytest

from diff2lip_diffusers import (
    Detection,
    FaceBox,
    FaceNotFoundError,
    MediaError,
    Pair,
    read_pairs,
    sync_batch,
    sync_video,
)
from diff2lip_diffusers.lipsync.segments import read_segments
from diff2lip_diffusers.media.audio_mix import FADE_S, AudioMix, Recording
from diff2lip_diffusers.media.reader import read_rgb
from diff2lip_diffusers.media.video_writer import VideoWriter

RATE, FRAMES = 16000, 20
LEFT, RIGHT = FaceBox(8, 8, 40, 40), FaceBox(72, 12, 104, 44)
FAST = {"num_inference_steps": 2, "detail": "none", "detection_stride": 1}


def two_faces(thumbnails):
    return [[Detection(LEFT, 1.0), Detection(RIGHT, 0.9)] for _ in thumbnails]


def write_wav(path, samples, rate=RATE):
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", "NONE"))
        file.writeframes(np.round(samples * 32767).astype("<i2").tobytes())
    return path


def noise(seed, seconds, rate=RATE):
    return np.random.default_rng(seed).uniform(-0.4, 0.4, round(seconds * rate))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A video of two faces with a tone as its sound, and two recordings."""
    folder = tmp_path_factory.mktemp("dialogue")
    tone = write_wav(folder / "tone.wav", 0.2 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE))
    pixels = np.random.default_rng(0).integers(60, 200, (56, 112, 3), dtype=np.uint8)
    with VideoWriter(folder / "two.mkv", width=112, height=56, fps=25, codec="ffv1", audio=tone) as writer:
        for index in range(FRAMES):
            writer.write(np.roll(pixels, index % 3, axis=0))
    write_wav(folder / "anna.wav", noise(1, FRAMES / 25))
    write_wav(folder / "ben.wav", noise(2, 0.4))
    return folder


def frames_of(path):
    return np.stack(list(read_rgb(path)))


def sync(pipe, folder, output, audio=None, **options):
    return sync_video(pipe, folder / "two.mkv", audio, output, detector=two_faces, codec="ffv1", **FAST, **options)


def test_each_mouth_follows_its_own_recording_at_the_same_time(tmp_path, small_pipe, folder):
    rows = [
        {"start": 0, "audio": folder / "anna.wav", "face": 0},
        {"start": 0.2, "end": 0.6, "audio": folder / "ben.wav", "face": (80, 20)},
    ]
    sync(small_pipe, folder, tmp_path / "both.mkv", segments=rows)
    sync(small_pipe, folder, tmp_path / "anna.mkv", folder / "anna.wav", face=0)
    late = write_wav(tmp_path / "late.wav", np.concatenate([np.zeros(RATE // 5), noise(2, 0.4)]))
    sync(small_pipe, folder, tmp_path / "ben.mkv", late, face=1)
    source, both, anna, ben = (
        frames_of(path)
        for path in (folder / "two.mkv", *(tmp_path / f"{name}.mkv" for name in ("both", "anna", "ben")))
    )
    np.testing.assert_array_equal(both[:, :, :56], anna[:, :, :56])
    spoken = slice(5, 15)  # 0.2 to 0.6 s
    np.testing.assert_array_equal(both[:5, :, 56:], source[:5, :, 56:])
    np.testing.assert_array_equal(both[15:, :, 56:], source[15:, :, 56:])
    assert (both[spoken, :, 56:] != source[spoken, :, 56:]).any(axis=(1, 2, 3)).all()
    # From the frame on whose window has no step at the recording's start, where the window of a Fourier transform
    # sees what is before it.
    np.testing.assert_allclose(both[7:15, :, 56:].astype(int), ben[7:15, :, 56:], atol=1)


def test_the_recordings_replace_the_sound_of_the_video_while_they_last(tmp_path):
    under, one, other = noise(3, 1.5), noise(4, 0.5), noise(5, 0.5)
    paths = [
        write_wav(tmp_path / f"{name}.wav", samples) for name, samples in zip("abc", (under, one, other), strict=True)
    ]
    times = [(Fraction(1, 2), Fraction(1)), (Fraction(3, 4), Fraction(5, 4))]
    mix = AudioMix([Recording(path, *time) for path, time in zip(paths[1:], times, strict=True)], paths[0])
    heard = np.concatenate(list(mix.blocks(Fraction(3, 2))), axis=1)
    expected = np.zeros(RATE * 3 // 2)
    fade = round(FADE_S * RATE)
    before, after = slice(0, RATE // 2), slice(RATE * 5 // 4, None)
    expected[before], expected[after] = under[before], under[after]
    expected[RATE // 2 - fade : RATE // 2] *= np.arange(fade, 0, -1) / fade
    expected[RATE * 5 // 4 : RATE * 5 // 4 + fade] *= np.arange(fade) / fade
    expected[RATE // 2 : RATE] += one
    expected[RATE * 3 // 4 : RATE * 5 // 4] += other
    assert heard.shape == (1, RATE * 3 // 2)
    np.testing.assert_allclose(heard[0], expected.clip(-1, 1), atol=1e-4)


def packets(path, kind):
    with av.open(str(path)) as container:
        (stream,) = (one for one in container.streams if one.type == kind)
        return [bytes(packet) for packet in container.demux(stream) if packet.size]


def test_a_recording_drives_the_mouth_while_another_is_heard(tmp_path, small_pipe, folder):
    with VideoWriter(tmp_path / "music.mp4", width=16, height=16, fps=25, audio=folder / "tone.wav") as writer:
        for _ in range(FRAMES):
            writer.write(np.zeros((16, 16, 3), np.uint8))
    sync(small_pipe, folder, tmp_path / "plain.mkv", folder / "anna.wav")
    sync(small_pipe, folder, tmp_path / "driven.mkv", tmp_path / "music.mp4", drive=folder / "anna.wav")
    assert packets(tmp_path / "driven.mkv", "video") == packets(tmp_path / "plain.mkv", "video")
    assert packets(tmp_path / "driven.mkv", "audio") == packets(tmp_path / "music.mp4", "audio")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("start,end,audoi,face\n0,1,anna.wav,0", "line 2: 'audoi' is unknown, known are start, end, audio, face"),
        ("start,end,audio\n0,1", "line 2 has 2 cells, expected 3"),
        ("start,audio\nsoon,anna.wav", "line 2: `start` is 'soon', expected seconds"),
        ("start,end,audio\n0.5,0.2,anna.wav", "line 2: `end` is 0.2 s, which is not after its `start`"),
        ("start,audio,face\n0,anna.wav,left", "line 2: `face` is 'left', expected largest"),
        ("start,audio,seed\n0,anna.wav,x", "line 2: `seed` is 'x'"),
        ("start,audio", "has no segment; add at least one"),
        ("start,audio\n3,anna.wav", "line 2: `start` is 3 s, but the video ends at 0.8"),
        ("start,end,audio\n0,9,anna.wav", "line 2: `end` is 9 s, but the video ends at 0.8"),
        ("start,end,audio\n0,0.01,anna.wav\n0.03,0.035,ben.wav", "line 3: lasts 0.005 s, in which there is no frame"),
        ("start,audio\n0,anna.wav\n0.4,ben.wav", "line 3: starts at 0.4 s, while the same face speaks in line 2"),
        ("start,audio,face\n0,anna.wav,0\n0.4,ben.wav,largest", "line 3: its face largest is also 0 of line 2"),
        ('start,audio,face\n0,anna.wav,"200,10"', "line 2: `face` is the point 200,10, outside the frame of 112x56"),
        ("start,audio,face\n0,anna.wav,0\n0.4,ben.wav,5", "line 3: no face number 5 found in its frames"),
        ("start,audio\n0,nobody.wav", "nobody.wav: no such file"),
    ],
)
def test_bad_segments_are_named_in_one_line_and_leave_nothing(tmp_path, small_pipe, folder, text, error):
    for name in ("anna.wav", "ben.wav"):
        (tmp_path / name).symlink_to(folder / name)
    (tmp_path / "d.csv").write_text(text)
    (tmp_path / "out").mkdir()
    with pytest.raises((MediaError, FaceNotFoundError)) as raised:
        sync(small_pipe, folder, tmp_path / "out" / "out.mkv", segments=tmp_path / "d.csv")
    assert error in str(raised.value) and "\n" not in str(raised.value)
    assert not list((tmp_path / "out").iterdir())


def test_json_and_csv_and_python_state_the_same_segments(tmp_path):
    (tmp_path / "d.csv").write_text('start,end,audio,face,seed\n0:01.5,,a.wav,"4,5",\n2,0:00:03,b.wav,1,9\n')
    rows = [
        {"start": 1.5, "audio": "a.wav", "face": [4, 5]},
        {"start": 2, "end": 3, "audio": "b.wav", "face": 1, "seed": 9},
    ]
    (tmp_path / "d.json").write_text(json.dumps(rows))
    python = read_segments([row | {"audio": tmp_path / row["audio"]} for row in rows])
    for given in (read_segments(tmp_path / "d.csv"), read_segments(tmp_path / "d.json"), python):
        first, second = given
        assert (first.start_s, first.end_s, first.face, first.options) == (Fraction(3, 2), None, (4, 5), {})
        assert (second.start_s, second.end_s, second.face, second.options) == (2, 3, 1, {"seed": 9})
        assert [one.audio for one in given] == [tmp_path / "a.wav", tmp_path / "b.wav"]


def test_segments_leave_no_room_for_options_of_one_face(tmp_path, small_pipe, folder):
    rows = [{"start": 0, "audio": folder / "anna.wav"}]
    with pytest.raises(ValueError, match="`segments` says who speaks, and to what; leave out `drive`"):
        sync(small_pipe, folder, tmp_path / "out.mkv", segments=rows, drive=folder / "ben.wav")
    with pytest.raises(ValueError, match=r"`segments\[0\]`: `audio` is 3, expected a file name"):
        sync(small_pipe, folder, tmp_path / "out.mkv", segments=[{"start": 0, "audio": 3}])


@pytest.mark.parametrize(("detail", "reference"), [("none", "frame"), ("video", "best")])
def test_a_batch_makes_the_same_dialogue_from_whole_pairs_and_from_parts(
    tmp_path, small_pipe, folder, monkeypatch, detail, reference
):
    (folder / "d.csv").write_text("start,end,audio,face\n0,,anna.wav,0\n0.2,0.6,ben.wav,1\n")
    (folder / "list.csv").write_text("video,segments,output\ntwo.mkv,d.csv,out.mkv\n")
    pairs = read_pairs(folder / "list.csv")
    assert pairs == [Pair(folder / "two.mkv", None, "out.mkv", {"segments": folder / "d.csv"}, 2)]
    for module in ("lipsync.exemplar_windows", "batch.split_clip"):
        for name in ("STRETCH_FRAMES", "PART_FRAMES"):
            monkeypatch.setattr(f"diff2lip_diffusers.{module}.{name}", 8, raising=False)
    options = {**FAST, "detail": detail, "reference": reference, "detector": two_faces}
    for split in ("pairs", "frames"):
        result = sync_batch(small_pipe, pairs, tmp_path / split, split=split, lossless=True, **options)
        assert result.failures == []
    outputs = [tmp_path / split / "out.mkv" for split in ("pairs", "frames")]
    np.testing.assert_array_equal(*map(frames_of, outputs))
    assert packets(outputs[0], "audio") == packets(outputs[1], "audio")
    spoken = frames_of(outputs[0])[8] != frames_of(folder / "two.mkv")[8]
    assert spoken[:, :56].any() and spoken[:, 56:].any()
