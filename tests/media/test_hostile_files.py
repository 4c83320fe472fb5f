"""Files made to harm: they end no process, read no other file, start no program and take bounded memory and time."""

import io
import os
import re
import struct
import tracemalloc
import warnings
import zlib
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import PIL.Image
import PIL.ImageCms
import pytest
from helpers.face_videos import write_speech, write_video
from helpers.processes import start

from diff2lip_diffusers import Diff2LipFeatureExtractor, read_pairs
from diff2lip_diffusers.errors import MediaError
from diff2lip_diffusers.faces.detections_file import read_detections
from diff2lip_diffusers.lipsync.segments import read_segments
from diff2lip_diffusers.lipsync.speech import read_speech
from diff2lip_diffusers.media import read_audio
from diff2lip_diffusers.media.containers import MAX_STILL_PIXELS
from diff2lip_diffusers.media.image_files import MAX_DECODED_PIXELS
from diff2lip_diffusers.media.raw_streams import MOST_CHUNKS, MOST_JUNK_BLOCKS
from diff2lip_diffusers.media.reader import probe_video, read_frames
from diff2lip_diffusers.media.streams import decode_frames, rebased_packets
from diff2lip_diffusers.media.video_writer import VideoWriter
from diff2lip_diffusers.output_paths import check_output_path

READ = """
import gc
from diff2lip_diffusers.errors import MediaError
from diff2lip_diffusers.media.reader import probe_video, read_frames
try:
    probe_video(sys.argv[1])
    for frame in read_frames(sys.argv[1]):
        print(frame.width, flush=True)
        gc.collect()
except MediaError as error:
    print("refused:", error)
"""
RED, BLUE = (220, 30, 30), (30, 30, 220)


def picture(color=RED, size=(64, 48)) -> PIL.Image.Image:
    return PIL.Image.new("RGB", size, color)


def refusal(path: Path) -> str:
    with pytest.raises(MediaError) as caught:
        list(islice(read_frames(path), 100))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def element(name: int, content: bytes) -> bytes:
    """An element of EBML, of which Matroska consists."""
    return name.to_bytes(4).lstrip(b"\0") + (1 << 56 | len(content)).to_bytes(8) + content


def write_matroska(path: Path, frames: list[bytes], fourcc: bytes, size=(64, 48)) -> None:
    """Writes encoded frames at 25 fps under a codec's name in AVI, as FFmpeg's program does with PNG."""
    bitmap = struct.pack("<IIIHH4sIIIII", 40, *size, 1, 24, fourcc, 0, 0, 0, 0, 0)
    sides = element(0xB0, size[0].to_bytes(2)) + element(0xBA, size[1].to_bytes(2))
    codec = element(0x86, b"V_MS/VFW/FOURCC") + element(0x63A2, bitmap)
    number = element(0xD7, b"\1") + element(0x73C5, b"\1") + element(0x83, b"\1")
    track = element(0xAE, number + codec + element(0x23E383, (40_000_000).to_bytes(4)) + element(0xE0, sides))
    blocks = (b"\x81" + struct.pack(">HB", 40 * index, 0x80) + frame for index, frame in enumerate(frames))
    cluster = element(0x1F43B675, element(0xE7, b"\0") + b"".join(element(0xA3, block) for block in blocks))
    segment = element(0x18538067, element(0x1654AE6B, track) + cluster)
    path.write_bytes(element(0x1A45DFA3, element(0x4282, b"matroska")) + segment)


@pytest.mark.parametrize("name", ["a.png", "a.mkv"])
def test_a_color_profile_does_not_end_the_process(tmp_path, name):
    profile = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    pictures = [picture((20 * number, 90, 90)) for number in range(3)]
    if name == "a.png":
        pictures[0].save(tmp_path / name, save_all=True, append_images=pictures[1:], icc_profile=profile)
    else:
        files = [io.BytesIO() for _ in pictures]
        for one, file in zip(pictures, files, strict=True):
            one.save(file, "PNG", icc_profile=profile)
        write_matroska(tmp_path / name, [file.getvalue() for file in files], b"MPNG")
    process = start(READ, tmp_path / name)
    assert process.communicate(timeout=60)[0].split() == ["64"] * 3
    assert process.returncode == 0


@pytest.mark.parametrize("name", ["list.mp4", "list.ffconcat"])
def test_a_list_reads_no_neighbor(tmp_path, name):
    write_video(tmp_path / "secret.mp4", [np.full((48, 64, 3), 99, np.uint8)] * 3)
    (tmp_path / name).write_text("ffconcat version 1.0\nfile secret.mp4\n")
    assert "of a known kind" in refusal(tmp_path / name)


def test_a_playlist_reads_no_other_file(tmp_path):
    with av.open(str(tmp_path / "secret.ts"), "w") as out:
        stream = out.add_stream("mpeg2video", rate=25, width=64, height=48)
        for _ in range(10):
            out.mux(stream.encode(av.VideoFrame.from_image(picture())))
        out.mux(stream.encode(None))
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:1", "#EXTINF:0.4,", str(tmp_path / "secret.ts"), "#EXT-X-ENDLIST"]
    (tmp_path / "list.m3u8").write_text("\n".join(lines))
    assert "is not a video or audio file" in refusal(tmp_path / "list.m3u8")


def test_a_name_is_no_pattern(tmp_path):
    picture().save(tmp_path / "secret1.jpg")
    (tmp_path / "secret%d.jpg").write_bytes(b"junk" * 100)
    assert "is not a video or audio file" in refusal(tmp_path / "secret%d.jpg")


def test_a_text_is_not_drawn(tmp_path):
    (tmp_path / "notes.ans").write_text("secret\n" * 50)
    assert "is not a video or audio file" in refusal(tmp_path / "notes.ans")


def test_no_program_is_started(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {tmp_path / 'started'}\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 48\n%%EndComments\n")
    assert "is not an image that can be read" in refusal(tmp_path / "images")
    assert not (tmp_path / "started").exists()


def test_a_pipe_in_a_folder_of_images_is_refused_at_once(tmp_path):
    picture().save(tmp_path / "1.png")
    os.mkfifo(tmp_path / "2.png")
    process = start(READ, tmp_path)
    try:
        assert "2.png: is a pipe or a device" in process.communicate(timeout=30)[0]
    finally:
        process.kill()


@pytest.mark.parametrize(
    "read",
    [read_pairs, read_segments, lambda path: read_detections(path, 64, 48, 25)],
    ids=["pairs", "segments", "boxes"],
)
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_texts_that_are_pipes_are_refused_at_once(tmp_path, read, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(MediaError, match=f"{name}: is a pipe or a device"):
        read(tmp_path / name)


def test_links_that_lead_to_themselves(tmp_path):
    (tmp_path / "a.mp4").symlink_to("b.mp4")
    (tmp_path / "b.mp4").symlink_to("a.mp4")
    check_output_path(tmp_path / "out.mp4", tmp_path / "a.mp4")
    assert "\n" not in refusal(tmp_path / "a.mp4")


def test_warnings_of_pillow_reach_nobody(tmp_path):
    picture().save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\x09\0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert probe_video(tmp_path / "a.jpg").width == 64


def test_a_large_photo_is_scaled_down(tmp_path):
    picture(size=(3000, 2000)).save(tmp_path / "a.jpg")
    info = probe_video(tmp_path / "a.jpg")
    assert 0.99 * MAX_STILL_PIXELS < info.width * info.height <= MAX_STILL_PIXELS
    assert info.width / info.height == pytest.approx(1.5, abs=0.01)
    pixels = next(read_frames(tmp_path / "a.jpg")).rgb()[::500, ::500].reshape(-1, 3)
    np.testing.assert_allclose(pixels, [RED] * len(pixels), atol=3)
    assert probe_video(tmp_path / "a.jpg", 10_000).width == 122


def png_header(width: int, height: int) -> bytes:
    """A PNG that ends after its header."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


@pytest.mark.parametrize("side", [13_000, 60_000])
def test_a_still_beyond_the_limit_is_refused_by_its_header(tmp_path, side):
    (tmp_path / "a.png").write_bytes(png_header(side, side) + struct.pack(">I", 0) + b"IDAT5\xaf\x06\x1e")
    assert "pixels" in refusal(tmp_path / "a.png")
    assert side**2 > MAX_DECODED_PIXELS


def test_a_video_beyond_the_limit_is_refused(tmp_path):
    path = write_video(tmp_path / "a.mp4", [np.full((96, 128, 3), 99, np.uint8)] * 3)
    with pytest.raises(MediaError, match=r"128 x 96 pixels, more than the limit of 10000; .*--max-pixels"):
        probe_video(path, 10_000)
    assert probe_video(path, 128 * 96).width == 128


def animation(path: Path, size=(64, 48)) -> Path:
    picture(RED, size).save(path, save_all=True, append_images=[picture(BLUE, size)])
    return path


@pytest.mark.parametrize("name", ["a.gif", "a.png"])
def test_an_animation_beyond_what_is_ever_decoded_is_refused_by_its_header(tmp_path, name):
    content = bytearray(animation(tmp_path / name).read_bytes())
    content[6:10] = struct.pack("<HH", 9000, 9000)
    if name == "a.png":
        content = png_header(9000, 9000) + animation(tmp_path / name).read_bytes()[33:]
    (tmp_path / name).write_bytes(content)
    assert "has frames of 9000 x 9000 pixels" in refusal(tmp_path / name)


def test_a_second_look_for_the_last_frames_has_the_same_limit(tmp_path):
    """After a threaded decoder lost frames, one thread decodes them again."""
    path = animation(tmp_path / "a.png")
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.options, stream.thread_type = {"max_pixels": "3000"}, "AUTO"
        assert list(decode_frames(container, stream, path, 3000)) == []


def test_a_header_that_asks_for_millions_of_frames(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w", options={"use_editlist": "0"}) as out:
        stream = out.add_stream("mpeg4", rate=300, width=64, height=48)
        for _ in range(3):
            out.mux(stream.encode(av.VideoFrame.from_image(picture())))
        out.mux(stream.encode(None))
    data = bytearray((tmp_path / "a.mp4").read_bytes())
    durations = data.index(b"stts") + 12  # count and duration of equally long frames
    data[durations : durations + 8] = struct.pack(">II", 3, 0x7FFFFFFF)
    (tmp_path / "a.mp4").write_bytes(data)
    assert re.search(r"time stamps show \d+ pictures? for \d{5,} s", refusal(tmp_path / "a.mp4"))


def float_wav(path: Path, samples: np.ndarray, rate: int = 16000) -> Path:
    data = samples.astype("<f4").tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 3, 1, rate, 4 * rate & 0xFFFFFFFF, 4, 32)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", len(data)) + data
    path.write_bytes(struct.pack("<4sI", b"RIFF", len(body)) + body)
    return path


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_a_sample_that_is_not_finite_is_named_with_its_time(tmp_path, value):
    samples = np.sin(np.arange(16000) / 20)
    samples[12_345] = value
    path = float_wav(tmp_path / "a.wav", samples)
    with pytest.raises(MediaError, match=r"a sample of \S+ at 0\.772 s"):
        read_audio(path)


@pytest.mark.parametrize("seed", [61, 159])
def test_damaged_audio_in_flv_that_is_far_too_loud_is_named_with_its_time(tmp_path, seed):
    """Its decoder gives samples of millions for some packets."""
    rng, junk = np.random.default_rng(seed), b""
    with av.open(str(tmp_path / "a.flv"), "w") as out:
        stream = out.add_stream("nellymoser", rate=22050, layout="mono")
        for number in range(30):
            frame = av.AudioFrame.from_ndarray(np.full((1, 256), 0.1, np.float32), "flt", "mono")
            frame.sample_rate, frame.pts = 22050, number * 256
            for packet in stream.encode(frame):
                if number == 20:
                    junk = rng.integers(0, 256, packet.size).astype(np.uint8).tobytes()
                    packet = like(packet, junk, stream)
                out.mux(packet)
        out.mux(stream.encode(None))
    assert junk
    with pytest.raises(MediaError, match=r"a sample of \S+ at 0\.2\d\d s"):
        read_audio(tmp_path / "a.flv")


def test_a_sampling_rate_that_cannot_be(tmp_path):
    path = float_wav(tmp_path / "a.wav", np.sin(np.arange(16000) / 20), 192_000_000)
    with pytest.raises(MediaError, match="192000000 Hz"):
        read_audio(path)


def test_a_long_tail_of_zeros_behind_mp3_is_not_searched(tmp_path):
    with av.open(str(tmp_path / "a.mp3"), "w") as out:
        stream = out.add_stream("libmp3lame", rate=44100, layout="mono")
        for _ in range(30):
            frame = av.AudioFrame.from_ndarray(np.full((1, 1152), 0.1, np.float32), "fltp", "mono")
            frame.sample_rate = 44100
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    size = (tmp_path / "a.mp3").stat().st_size
    os.truncate(tmp_path / "a.mp3", size + (1 << 20))
    assert len(read_audio(tmp_path / "a.mp3")[0]) > 20_000
    os.truncate(tmp_path / "a.mp3", size + ((MOST_JUNK_BLOCKS + 2) << 20))
    with pytest.raises(MediaError, match="MiB that are no video or audio"):
        read_audio(tmp_path / "a.mp3")


@pytest.mark.parametrize("stated", [0xFFFFFFFF, (2 << 30) - 100])
def test_a_long_tail_of_zeros_in_wav_is_bounded(tmp_path, stated):
    """Its header states two GiB, of which all but half a second are zeros: audio of 18 hours."""
    path = write_speech(tmp_path / "a.wav", 0.5)
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", stated)
    path.write_bytes(content)
    os.truncate(path, 2 << 30)
    tracemalloc.start()
    with pytest.raises(MediaError, match="its audio is longer than the limit of 3 s"):
        read_speech(path, Diff2LipFeatureExtractor(), 3)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


@pytest.mark.parametrize("name", ["a.wav", "a.caf", "a.w64"])
def test_a_long_tail_of_zeros_behind_chunks_is_not_searched(tmp_path, name):
    """FFmpeg takes them for empty chunks and looks at each: two GiB take it minutes."""
    path = tmp_path / name
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.ones((1, 8000), np.int16), "s16", "mono")
        frame.sample_rate = 16000
        out.mux(stream.encode(frame))
    size = path.stat().st_size
    os.truncate(path, size + MOST_CHUNKS * 4)
    assert read_speech(path, Diff2LipFeatureExtractor()).duration_s == Fraction(1, 2)
    os.truncate(path, 2 << 30)
    with pytest.raises(MediaError, match="has more than 100000 parts"):
        read_audio(path)


def test_a_long_tail_of_empty_packets_is_not_read(tmp_path):
    with av.open(str(tmp_path / "a.ivf"), "w") as out:
        stream = out.add_stream("libvpx", rate=25, width=64, height=48)
        for number in range(3):
            frame = av.VideoFrame.from_image(picture())
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    os.truncate(tmp_path / "a.ivf", 2 << 30)
    with pytest.raises(MediaError, match="has more than 100000 parts"):
        list(read_frames(tmp_path / "a.ivf"))


@pytest.mark.parametrize("riff", [b"RIFX", b"RF64"])
def test_a_long_tail_of_zeros_behind_other_kinds_of_wav_is_not_searched(tmp_path, riff):
    path, order = tmp_path / "a.wav", "big" if riff == b"RIFX" else "little"
    path.write_bytes(riff + bytes(4) + b"WAVE" + b"JUNK" + (100).to_bytes(4, order) + bytes(100))
    os.truncate(path, 2 << 30)
    with pytest.raises(MediaError, match="has more than 100000 parts"):
        read_audio(path)


@pytest.mark.parametrize(("late_s", "silence_s"), [(2, 2), (3000, 0)])
def test_audio_that_starts_hours_late_has_another_clock(tmp_path, late_s, silence_s):
    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        video, audio = out.add_stream("mpeg4", rate=25, width=64, height=48), out.add_stream("pcm_s16le", rate=16000)
        for _ in range(3):
            out.mux(video.encode(av.VideoFrame.from_image(picture())))
        out.mux(video.encode(None))
        frame = av.AudioFrame.from_ndarray(np.ones((1, 16000), np.int16), "s16", "mono")
        frame.sample_rate, frame.pts = 16000, late_s * 16000
        out.mux(audio.encode(frame))
        out.mux(audio.encode(None))
    samples, rate = read_audio(tmp_path / "a.mkv")
    assert (rate, len(samples)) == (16000, pytest.approx((silence_s + 1) * 16000, abs=1600))


@pytest.mark.parametrize(("codec", "name"), [("aac", "a.m4a"), ("aac", "a.mkv"), ("libmp3lame", "a.mp4")])
def test_damaged_packets_are_not_copied(tmp_path, codec, name):
    rng = np.random.default_rng(0)
    samples = (0.4 * np.sin(np.arange(1152 * 60) / 30)).astype(np.float32)
    with av.open(str(tmp_path / name), "w") as out:
        stream = out.add_stream(codec, rate=44100, layout="mono")
        size = 1024 if codec == "aac" else 1152
        for number, block in enumerate(samples[: size * 60].reshape(60, 1, size)):
            frame = av.AudioFrame.from_ndarray(block, "fltp", "mono")
            frame.sample_rate, frame.pts = 44100, number * size
            for packet in stream.encode(frame):
                out.mux(damaged(packet, stream, rng) if 20 <= number < 30 else packet)
        out.mux(stream.encode(None))
    with VideoWriter(tmp_path / "out.mp4", width=64, height=48, fps=25, audio=tmp_path / name) as writer:
        for _ in range(30):
            writer.write(np.zeros((48, 64, 3), np.uint8))
    assert errors_in(tmp_path / name) >= 5
    assert errors_in(tmp_path / "out.mp4") == 0


def test_packets_without_a_time_stay_so(tmp_path):
    with av.open(str(tmp_path / "a.h264"), "w") as out:
        stream = out.add_stream("libx264", rate=25, width=64, height=48, options={"bf": "0"})
        for _ in range(5):
            out.mux(stream.encode(av.VideoFrame.from_image(picture())))
        out.mux(stream.encode(None))
    with av.open(str(tmp_path / "a.h264")) as container:
        packets = list(rebased_packets(container, container.streams[0], container.streams[0], "a.h264", Fraction(1)))
    assert len(packets) == 5 and {packet.pts for packet in packets} == {None}


def damaged(packet: av.Packet, stream: av.AudioStream, rng: np.random.Generator) -> av.Packet:
    data = np.frombuffer(bytes(packet), np.uint8).copy()
    data[rng.integers(0, len(data), 60)] ^= 1 << rng.integers(0, 8, 60, dtype=np.uint8)
    return like(packet, data.tobytes(), stream)


def like(packet: av.Packet, content: bytes, stream: av.AudioStream) -> av.Packet:
    """A packet with other content."""
    copy = av.Packet(content)
    copy.pts, copy.dts, copy.duration, copy.time_base = packet.pts, packet.dts, packet.duration, packet.time_base
    copy.stream = stream
    return copy


def errors_in(path: Path) -> int:
    count = 0
    with av.open(str(path)) as container:
        for packet in container.demux(audio=0):
            try:
                packet.decode()
            except av.error.FFmpegError:
                count += 1
    return count
