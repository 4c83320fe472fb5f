import json
import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import skimage.data

from diff2lip_diffusers.errors import MediaError
from diff2lip_diffusers.media.decoded_frames import upright_frame
from diff2lip_diffusers.media.encoders import CODECS, choose_encoding, default_codec
from diff2lip_diffusers.media.frame import ColorTags, Frame
from diff2lip_diffusers.media.reader import VideoInfo, probe_video, read_frames
from diff2lip_diffusers.media.video_writer import VideoWriter

PQ_BT2020 = ColorTags(matrix=9, range=1, primaries=9, transfer=16)
BT709 = ColorTags(matrix=1, range=1, primaries=1, transfer=1)
FULL_RANGE = ColorTags(matrix=1, range=2, primaries=1, transfer=1)
SOFTWARE = {"h264": ".mp4", "hevc": ".mp4", "prores": ".mov", "ffv1": ".mkv"}


def noise(format: str, tags: ColorTags | None, count: int = 3, height: int = 48, width: int = 64) -> list[Frame]:
    """Frames that use every number a format has."""
    rng = np.random.default_rng(0)
    frame = av.VideoFrame(width, height, format)
    bits = frame.format.components[0].bits
    dtype = np.uint8 if bits == 8 else np.uint16
    return [
        Frame(
            tuple(rng.integers(0, 2**bits, (plane.height, plane.width)).astype(dtype) for plane in frame.planes),
            format,
            tags,
        )
        for _ in range(count)
    ]


def written(path: Path, frames: list[Frame], **options) -> list[Frame]:
    """The frames after a trip through a file."""
    first = frames[0]
    info = VideoInfo(first.width, first.height, 25, None, False, first.tags, pixel_format=first.format)
    with VideoWriter(path, width=first.width, height=first.height, fps=25, info=info, **options) as writer:
        for frame in frames:
            writer.write(frame)
    return list(read_frames(path))


@pytest.mark.parametrize(
    "codec, format, tags",
    [
        ("h264", "yuv420p", BT709),
        ("h264", "yuv420p", FULL_RANGE),
        ("h264", "yuv422p", BT709),
        ("h264", "yuv444p", BT709),
        ("h264", "yuv420p10le", PQ_BT2020),
        ("h264", "gbrp", None),
        ("hevc", "yuv420p", BT709),
        ("hevc", "yuv444p10le", PQ_BT2020),
        ("hevc", "gbrp", None),
        ("ffv1", "yuv422p", BT709),
        ("ffv1", "yuv440p", BT709),
        ("ffv1", "yuv444p16le", PQ_BT2020),
        ("ffv1", "gbrp", None),
    ],
    ids=str,
)
def test_lossless_is_lossless_to_the_bit(tmp_path, codec, format, tags):
    source = noise(format, tags)
    result = written(tmp_path / f"out{SOFTWARE[codec]}", source, codec=codec, lossless=True)
    assert len(result) == len(source)
    for before, after in zip(source, result, strict=True):
        assert after.format == before.format
        for plane, copy in zip(before.planes, after.planes, strict=True):
            np.testing.assert_array_equal(plane, copy)
    assert tags is None or result[0].tags == tags


@pytest.mark.parametrize("codec, format", [("hevc", "yuv420p10le"), ("prores", "yuv422p10le")])
def test_more_than_8_bits_stay_where_players_show_them(tmp_path, codec, format):
    written(tmp_path / f"out{SOFTWARE[codec]}", noise("yuv420p10le", PQ_BT2020), codec=codec)
    info = probe_video(tmp_path / f"out{SOFTWARE[codec]}")
    assert info.pixel_format == format
    assert (info.color.matrix, info.color.primaries, info.color.transfer) == (9, 9, 16)


def test_the_default_is_h264_with_8_bits_and_hevc_with_10_for_hdr(tmp_path):
    for tags, codec, format in ((BT709, "h264", "yuv420p"), (PQ_BT2020, "hevc", "yuv420p10le")):
        written(tmp_path / "out.mp4", noise("yuv420p10le", tags))
        with av.open(str(tmp_path / "out.mp4")) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.pix_fmt) == (codec, format)
    assert default_codec(None) == default_codec(BT709) == "h264"


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_the_default_quality_is_out_of_sight(tmp_path, codec):
    """A photo that moves comes back with an error below what 8 bits show side by side: 45 dB."""
    photo = skimage.data.astronaut()
    source = []
    for index in range(10):
        part = np.ascontiguousarray(photo[2 * index : 2 * index + 360, 3 * index : 3 * index + 480])
        frame = av.VideoFrame.from_ndarray(part, format="rgb24").reformat(format="yuv420p", dst_colorspace=1)
        source.append(upright_frame(frame, (1, 0, 0, 1)))
    result = written(tmp_path / "out.mp4", source, codec=codec)
    error = np.mean([np.square(a.rgb().astype(float) - b.rgb()) for a, b in zip(source, result, strict=True)])
    assert 10 * np.log10(255**2 / error) > 45


# Encodes frames that move, in memory that is filled with a byte before it is used, and prints a digest.
ENCODE = """
import hashlib, json, sys
from fractions import Fraction
import av, numpy as np
encoder, pixel_format, options = json.loads(sys.argv[1])
noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
context = av.CodecContext.create(encoder, "w")
context.width, context.height, context.pix_fmt, context.options = 320, 288, pixel_format, options
context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
digest = hashlib.sha256()
for number in [*range(12), None]:
    frame = None
    if number is not None:
        part = np.ascontiguousarray(noise[number : number + 288, 2 * number : 2 * number + 320])
        frame = av.VideoFrame.from_ndarray(part, format="rgb24").reformat(format=pixel_format)
        frame.pts = number
    for packet in context.encode(frame):
        digest.update(bytes(packet))
print(digest.hexdigest())
"""


def encoded_in(byte: int, encoder: str, pixel_format: str, options: dict) -> str:
    memory = {"MALLOC_PERTURB_": str(byte), "MALLOC_MMAP_THRESHOLD_": str(2**31)}
    arguments = json.dumps([encoder, pixel_format, options])
    ended = subprocess.run(
        [sys.executable, "-c", ENCODE, arguments], env=os.environ | memory, capture_output=True, text=True, check=True
    )
    return ended.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="fills memory as glibc does")
def test_the_same_frames_give_the_same_bytes_whatever_was_in_memory(tmp_path):
    encoding = choose_encoding(tmp_path / "out.mp4", "h264", "yuv420p", None, False)
    settings = encoding.encoder, encoding.pixel_format, encoding.options
    assert encoded_in(0, *settings) == encoded_in(85, *settings)


def test_apples_players_get_the_tag_they_ask_for(tmp_path):
    written(tmp_path / "out.mp4", noise("yuv420p", BT709), codec="hevc")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"


def test_what_cannot_be_is_said_in_one_line(tmp_path):
    for name, codec in (("out.mp4", "prores"), ("out.mov", "ffv1")):
        with pytest.raises(MediaError, match=f"{name}: codec {codec} goes into") as caught:
            choose_encoding(tmp_path / name, codec, "yuv420p", None, False)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="`lossless` is not possible with codec prores; choose h264, hevc, ffv1"):
        choose_encoding(tmp_path / "out.mov", "prores", "yuv420p", None, True)


@pytest.mark.parametrize("codec", sorted(set(CODECS) - set(SOFTWARE)))
def test_hardware_that_is_not_there_is_said_before_the_work(tmp_path, codec):
    options = {"width": 128, "height": 128, "fps": 25, "codec": codec}
    try:
        with VideoWriter(tmp_path / "out.mp4", **options) as writer:
            writer.write(np.zeros((128, 128, 3), np.uint8))
    except MediaError as error:
        assert "choose" in str(error) and "\n" not in str(error)
        assert list(tmp_path.iterdir()) == []
    else:  # on a machine that has it
        assert probe_video(tmp_path / "out.mp4").width == 128
