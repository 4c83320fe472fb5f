import os
import wave
from fractions import Fraction

import av
import numpy as np
import pytest
from helpers.torture_makers import VideoStream, changed, frame_number, from_packet, media, overwrite_packets

from diff2lip_diffusers.errors import MediaError
from diff2lip_diffusers.media.reader import probe_video, read_audio, read_rgb
from diff2lip_diffusers.media.streams import audio_blocks, audio_stream, decode_frames, open_input, time_zero

ALL_INTRA = {"g": "1", "bf": "0"}
RATE = 8000
MS = RATE // 1000


def write_silence(path):
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", None))
        out.writeframes(bytes(1600))


def test_unreadable_files_are_refused_with_one_line(tmp_path, capfd):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a video\n" * 50)
    (tmp_path / "text.txt").write_text("not a video\n" * 50)
    write_silence(tmp_path / "audio.wav")
    cases = {
        "missing.mp4": "no such file",
        ".": "is a folder",
        "empty.mp4": "is empty",
        "text.mp4": "is not a video or audio file",
        "text.txt": "is not a video or audio file",
        "audio.wav": "has no video stream",
    }
    for name, reason in cases.items():
        for read in (probe_video, lambda path: next(read_rgb(path))):
            with pytest.raises(MediaError, match=reason) as caught:
                read(tmp_path / name)
            assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("read", [probe_video, read_audio, lambda path: next(read_rgb(path))])
def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path, read):
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(MediaError, match="pipe.mp4: is a pipe or a device"):
        read(tmp_path / "pipe.mp4")


# Frames


def decoded(path, threads: int) -> list[np.ndarray]:
    with open_input(path) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "AUTO", threads
        return [frame.to_ndarray(format="rgb24") for frame in decode_frames(container, stream, path)]


@pytest.mark.parametrize("damaged", [(), (0,), (5, 6), (10,), (11,), (0, 3, 9, 10)])
def test_many_threads_lose_no_good_frame_of_a_damaged_clip(tmp_path, damaged):
    clip = tmp_path / "clip.mp4"
    changed(media(VideoStream(coder=ALL_INTRA)), overwrite_packets(*damaged))(clip)
    frames = decoded(clip, threads=16)
    assert [frame_number(frame) for frame in frames] == [number for number in range(12) if number not in damaged]
    np.testing.assert_array_equal(frames, decoded(clip, threads=1))


def test_a_clip_without_a_good_frame_gives_none_with_many_threads(tmp_path):
    clip = tmp_path / "clip.mp4"
    changed(media(VideoStream(coder=ALL_INTRA)), overwrite_packets(*range(12)))(clip)
    assert decoded(clip, threads=16) == []


# Time zero


def test_time_zero_is_the_first_frame_that_is_whole(tmp_path):
    clip = tmp_path / "clip.mkv"
    video = VideoStream(coder=ALL_INTRA, times=range(500, 980, 40), time_base=Fraction(1, 1000))
    media(video)(clip)
    assert time_zero(clip) == Fraction(500, 1000)
    changed(media(video), overwrite_packets(0, 1))(clip)
    assert time_zero(clip) == Fraction(580, 1000)


def test_time_zero_of_a_broadcast_is_its_first_key_frame(tmp_path):
    whole, cut = tmp_path / "whole.ts", tmp_path / "cut.ts"
    make = media(VideoStream(numbers=range(20), coder={"g": "8", "bf": "0", "sc_threshold": "0"}))
    make(whole)
    changed(make, from_packet(3))(cut)
    assert time_zero(cut) - time_zero(whole) == Fraction(8, 25)


# Audio


def noise(samples: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(samples).integers(-20000, 20000, (channels, samples)).astype(np.int16)


def write_blocks(path, *blocks: tuple[int, np.ndarray], layout="mono", rate=RATE, codec="pcm_s16le", frame_ms=None):
    """Blocks of audio (C, T), each with its start in samples; and a frame, if its time is given."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate, layout=layout)
        if frame_ms is not None:
            video = VideoStream(numbers=[0], times=[frame_ms], time_base=Fraction(1, 1000), codec="ffv1")
            shown = video.add_to(out)
            out.mux([packet for frame in video.frames() for packet in shown.encode(frame)])
            out.mux(shown.encode(None))
        for start, samples in blocks:
            packed = np.ascontiguousarray(samples.T.reshape(1, -1))
            frame = av.AudioFrame.from_ndarray(packed, format="s16", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def heard(path, rate=RATE) -> np.ndarray:
    """(C, T)"""
    with open_input(path) as container:
        stream = audio_stream(container, path)
        return np.concatenate(list(audio_blocks(container, stream, path, "s16", rate)), axis=1)


FIRST, SECOND = noise(1600), noise(800)


@pytest.mark.parametrize("hole_ms", [60, 100, 5000])
def test_a_gap_in_the_audio_becomes_silence(tmp_path, hole_ms):
    audio = write_blocks(tmp_path / "audio.mkv", (0, FIRST), (1600 + hole_ms * MS, SECOND))
    silence = np.zeros((1, hole_ms * MS), np.int16)
    np.testing.assert_array_equal(heard(audio), np.concatenate([FIRST, silence, SECOND], axis=1))


@pytest.mark.parametrize("overlap_ms", [60, 90])
def test_an_overlap_is_cut(tmp_path, overlap_ms):
    audio = write_blocks(tmp_path / "audio.mkv", (0, FIRST), (1600 - overlap_ms * MS, SECOND))
    np.testing.assert_array_equal(heard(audio), np.concatenate([FIRST, SECOND[:, overlap_ms * MS :]], axis=1))


def test_a_block_inside_of_another_one_is_left_out(tmp_path):
    audio = write_blocks(tmp_path / "audio.mkv", (0, FIRST), (800, SECOND[:, :400]), (1600, SECOND))
    np.testing.assert_array_equal(heard(audio), np.concatenate([FIRST, SECOND], axis=1))


@pytest.mark.parametrize("off_ms", [-49, -20, 0, 1, 20, 49])
def test_jitter_of_time_stamps_leaves_the_samples_alone(tmp_path, off_ms):
    audio = write_blocks(tmp_path / "audio.mkv", (0, FIRST), (1600 + off_ms * MS, SECOND), (2400, FIRST))
    np.testing.assert_array_equal(heard(audio), np.concatenate([FIRST, SECOND, FIRST], axis=1))


@pytest.mark.parametrize("late_ms", [-150, -30, -1, 0, 1, 30, 150, 3000])
def test_the_first_block_is_placed_to_the_sample(tmp_path, late_ms):
    start_ms = 500
    audio = write_blocks(tmp_path / "audio.mkv", (start_ms * MS, FIRST), frame_ms=start_ms - late_ms)
    silence = np.zeros((1, max(0, late_ms) * MS), np.int16)
    expected = np.concatenate([silence, FIRST[:, max(0, -late_ms) * MS :]], axis=1)
    np.testing.assert_array_equal(heard(audio), expected)


def test_blocks_before_the_first_frame_are_left_out(tmp_path):
    audio = write_blocks(tmp_path / "audio.mkv", (0, FIRST), (1600, SECOND), frame_ms=250)
    np.testing.assert_array_equal(heard(audio), SECOND[:, 50 * MS :])


@pytest.mark.parametrize("layout, channels", [("5.1", 6), ("6.1", 7), ("7.1", 8)])
def test_many_channels_keep_their_samples(tmp_path, layout, channels):
    samples = noise(2000, channels)
    np.testing.assert_array_equal(heard(write_blocks(tmp_path / "audio.wav", (0, samples), layout=layout)), samples)


@pytest.mark.parametrize("starts_h", [(0, 1), (1, 0), (0, 20), (20, 0)])
def test_audio_goes_on_without_a_gap_where_the_clock_jumps(tmp_path, starts_h):
    """The audio of Blu-rays keeps its samples; it has 48 kHz."""
    parts, files = (noise(9600, 2), noise(4800, 2)), []
    for start_h, part in zip(starts_h, parts, strict=True):
        block = (start_h * 3600 * 48000, part)
        path = write_blocks(tmp_path / "part.m2ts", block, layout="stereo", rate=48000, codec="pcm_bluray")
        files.append(path.read_bytes())
    (tmp_path / "both.m2ts").write_bytes(b"".join(files))
    np.testing.assert_array_equal(heard(tmp_path / "both.m2ts", 48000), np.concatenate(parts, axis=1))
