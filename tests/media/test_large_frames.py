"""Of large frames, few are held in memory."""

import json
import subprocess
import sys
from pathlib import Path

import av
import pytest

from diff2lip_diffusers.errors import MediaError
from diff2lip_diffusers.media.containers import LARGE_PIXELS, open_input
from diff2lip_diffusers.media.encoders import choose_encoding
from diff2lip_diffusers.media.reader import read_frames
from diff2lip_diffusers.media.streams import LARGE_THREADS, video_stream

# Encodes frames of 4K, each of which goes as soon as it is encoded; prints the most MiB that this took.
ENCODE = """
import json, resource, sys
from fractions import Fraction
import av, numpy as np
encoder, pixel_format, options = json.loads(sys.argv[1])
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
context = av.CodecContext.create(encoder, "w")
context.width, context.height, context.pix_fmt, context.options = 4096, 2304, pixel_format, options
context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
before = peak()
for number in range(30):
    frame = av.VideoFrame(4096, 2304, pixel_format)
    for plane in frame.planes:
        np.frombuffer(plane, np.uint8)[:] = 90 + number
    frame.pts = number
    context.encode(frame)
print(peak() - before)
"""


def settings(codec: str, pixels: int, source: str = "yuv420p") -> tuple[str, str, dict]:
    encoding = choose_encoding(Path("out.mp4"), codec, source, None, False, pixels)
    return encoding.encoder, encoding.pixel_format, encoding.options


def encoded_mib(*chosen) -> float:
    command = [sys.executable, "-c", ENCODE, json.dumps(chosen)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux does")
@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_encoders_hold_few_large_frames(codec):
    pixels = 4096 * 2304
    few, many = encoded_mib(*settings(codec, pixels)), encoded_mib(*settings(codec, LARGE_PIXELS))
    assert few < 0.75 * many and few < 700


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux does")
def test_the_encoder_holds_few_heavy_frames():
    pixels = 4096 * 2304
    assert settings("hevc", pixels)[2] == settings("hevc", LARGE_PIXELS + 1, "yuv420p10le")[2]
    assert encoded_mib(*settings("hevc", pixels, "yuv420p10le")) < 750


@pytest.mark.parametrize(
    ("width", "pixel_format", "expected"),
    [(2560, "yuv420p", None), (2576, "yuv420p", LARGE_THREADS), (2576, "yuv444p10le", 1), (2560, "yuv444p10le", None)],
)
def test_large_frames_are_decoded_by_few_threads(tmp_path, width, pixel_format, expected):
    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        stream = out.add_stream("ffv1", rate=25, width=width, height=1440)
        stream.pix_fmt = pixel_format
        out.mux(stream.encode(av.VideoFrame(width, 1440, pixel_format)))
        out.mux(stream.encode(None))
    with open_input(tmp_path / "a.mkv") as container:
        threads = video_stream(container, tmp_path / "a.mkv").codec_context.thread_count
    assert threads == expected or (expected is None and threads not in (1, LARGE_THREADS))


@pytest.mark.parametrize("codec", ["libx264", "ffv1", "mjpeg"])
def test_frames_of_exactly_the_limit_are_decoded(tmp_path, codec):
    """Decoders pad 90 x 50 pixels to 128 x 64, which FFmpeg's own limit would count."""
    video = tmp_path / "video.mkv"
    with av.open(str(video), "w") as out:
        stream = out.add_stream(codec, rate=25, width=90, height=50)
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for _ in range(3):
            out.mux(stream.encode(av.VideoFrame(90, 50, stream.pix_fmt)))
        out.mux(stream.encode(None))
    assert len(list(read_frames(video, max_pixels=90 * 50))) == 3
    with pytest.raises(MediaError, match="90 x 50 pixels, more than the limit of 4499"):
        list(read_frames(video, max_pixels=90 * 50 - 1))
