"""Writes a clip's files: crops as a video with fast random access, speech, and a preview strip."""

import wave
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import PIL.Image
from av.error import FFmpegError

from ..media.encoders import repeatable_x264
from ..media.frame import Frame
from ..media.video_encoder import BT601_TAGS
from ..output_paths import writing
from .set_layout import CLIP_FPS, SAMPLING_RATE

# A reader that seeks decodes at most 4 frames it does not need. No B-frames, so frames come in order; one thread, so
# the file is the same for any number of cores. crf 10 is visually lossless; full chroma keeps small lips red.
KEYFRAME_EVERY = 5
ENCODER_OPTIONS = {
    "crf": "10",
    "preset": "veryfast",
    "g": str(KEYFRAME_EVERY),
    "bf": "0",
    "sc_threshold": "0",
    "threads": "1",
    "x264-params": repeatable_x264(),
}
PIXEL_FORMAT = "yuv444p"
STRIP_PX, STRIP_QUALITY = 128, 85


def write_crops(path: Path, crops: Sequence[np.ndarray]) -> None:
    """Writes crops (S, S, 3) uint8 as an mp4 at 25 fps: H.264, visually lossless, a keyframe every 5 frames.

    Raises:
        MediaError: if it cannot be written.
    """
    with writing(path), av.open(f"file:{path}", "w", format="mp4", options={"movflags": "+faststart"}) as out:
        stream = out.add_stream("libx264", rate=CLIP_FPS, options=ENCODER_OPTIONS)
        stream.height, stream.width = crops[0].shape[:2]
        stream.pix_fmt = PIXEL_FORMAT
        context = stream.codec_context
        context.time_base = Fraction(1, CLIP_FPS)
        context.colorspace, context.color_range = BT601_TAGS.matrix, BT601_TAGS.range
        context.color_primaries, context.color_trc = BT601_TAGS.primaries, BT601_TAGS.transfer
        for number, crop in enumerate(crops):
            frame = Frame.from_rgb(crop).to_av_frame(PIXEL_FORMAT, stream.width, stream.height, BT601_TAGS)
            frame.pts, frame.time_base = number, context.time_base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def write_clip_speech(path: Path, samples: np.ndarray) -> None:
    """Writes speech (T,) int16 at 16 kHz as a wave file.

    Raises:
        MediaError: if it cannot be written.
    """
    with writing(path), path.open("wb") as raw, wave.open(raw) as file:
        file.setparams((1, 2, SAMPLING_RATE, 0, "NONE", "NONE"))
        file.writeframes(samples.astype("<i2").tobytes())


def clip_lengths(video: Path, speech: Path) -> tuple[int, int] | None:
    """The lengths of a clip's files, in frames and in samples; None if one cannot be read."""
    try:
        with av.open(f"file:{video}") as container:
            frames = sum(packet.size > 0 for packet in container.demux(video=0))
        with wave.open(str(speech), "rb") as file:
            whole = len(file.readframes(file.getnframes())) == 2 * file.getnframes()
            return (frames, file.getnframes()) if whole else None
    except (FFmpegError, OSError, EOFError, ValueError, IndexError, RuntimeError, wave.Error):
        return None


def write_strip(path: Path, crops: Sequence[np.ndarray]) -> None:
    """Writes the first, middle and last crop side by side as a JPEG.

    Raises:
        MediaError: if it cannot be written.
    """
    shown = [crops[0], crops[len(crops) // 2], crops[-1]]
    images = [PIL.Image.fromarray(crop) for crop in shown]
    side = min(STRIP_PX, crops[0].shape[0])
    strip = np.hstack([np.asarray(image.resize((side, side), PIL.Image.Resampling.LANCZOS)) for image in images])
    write_image(path, strip)


def write_image(path: Path, pixels: np.ndarray) -> None:
    """Writes an image (h, w, 3) uint8 as a JPEG.

    Raises:
        MediaError: if it cannot be written.
    """
    with writing(path):
        PIL.Image.fromarray(pixels).save(path, "JPEG", quality=STRIP_QUALITY)
