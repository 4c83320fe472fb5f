"""Video and audio in: what a file holds, its pictures one after another, its sound.

Time zero of a file is its first picture, or the start of its sound where it has no video. So the pictures,
`read_audio` and the soundtrack that `VideoWriter` takes from the same file stay in step.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np

from ..errors import MediaError
from .decoded_frames import display_matrix, lies_on_its_side, upright_frame
from .frame import ColorTags, Frame
from .image_files import image_files, read_images
from .streams import (
    BACK_S,
    JUMP_S,
    audio_blocks,
    audio_stream,
    decode_frames,
    nearest_integer,
    open_input,
    video_stream,
)

FALLBACK_FPS = Fraction(25)
# Outside of these a stated rate is a time base (90000, 1000) or nonsense.
SANE_FPS = (Fraction(1, 10), Fraction(300))
NTSC_ROUNDING = Fraction(1, 10_000)
INT16_STEPS = 32768
# Containers whose index FFmpeg seeks in exactly; others are read from their start.
SEEKABLE_FORMATS = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}
NO_FRAME = "holds no picture that can be decoded; record or convert it again"


@dataclass(frozen=True)
class VideoInfo:
    """What a video holds, as `read_frames` yields it.

    Attributes:
        width: of the upright pictures, in pixels.
        height: of the upright pictures, in pixels.
        fps: frames a second, 25 where the file states nothing usable, as images do not.
        duration_s: as the file states it; None where it does not.
        has_audio: whether `read_audio` finds a sound stream.
        color: the source's tags, for `VideoWriter`; None where it is not YUV (GIF, PNG).
        pixel_aspect: width of a pixel over its height.
        pixel_format: FFmpeg's name of the pictures' format.
        is_still: whether it is a single image file.
    """

    width: int
    height: int
    fps: Fraction
    duration_s: float | None
    has_audio: bool
    color: ColorTags | None = None
    pixel_aspect: Fraction = Fraction(1)
    pixel_format: str = "yuv420p"
    is_still: bool = False


def probe_video(path: str | Path) -> VideoInfo:
    """What a video holds; decodes one picture. Cover art is no video.

    Args:
        path: a video file, an image file, or a folder of numbered image files.

    Raises:
        MediaError: it is missing, of no known kind, or holds no picture that can be decoded.
    """
    files = image_files(path)
    return _probe_images(files) if files else _probe_file(path)


def _probe_images(files: Sequence[Path]) -> VideoInfo:
    first = next(read_images(files))
    return VideoInfo(
        width=first.width,
        height=first.height,
        fps=FALLBACK_FPS,
        duration_s=float(len(files) / FALLBACK_FPS),
        has_audio=False,
        pixel_format=first.format,
        is_still=len(files) == 1,
    )


def _probe_file(path: str | Path) -> VideoInfo:
    with open_input(path) as container:
        stream = video_stream(container, path)
        frame = _first_frame(container, stream, path)
        picture = upright_frame(frame, display_matrix(frame))
        aspect = stream.sample_aspect_ratio or Fraction(1)
        return VideoInfo(
            width=picture.width,
            height=picture.height,
            fps=_frame_rate(stream),
            duration_s=_stated_duration_s(container, stream),
            has_audio=container.streams.best("audio") is not None,
            color=picture.tags,
            pixel_aspect=1 / aspect if lies_on_its_side(display_matrix(frame)) else aspect,
            pixel_format=picture.format,
        )


def _first_frame(container, stream, path: str | Path) -> av.VideoFrame:
    frame = next(decode_frames(container, stream, path), None)
    if frame is None:
        raise MediaError(path, NO_FRAME)
    return frame


def read_frames(path: str | Path, fps: Fraction | float | None = None, start: int = 0) -> Iterator[Frame]:
    """The pictures of a video at a constant rate, upright, one after another.

    A picture is shown from the nearest slot of 1/fps until the next one starts, as FFmpeg's `fps` filter does it; a
    clip of constant rate read at its own rate gives each of its frames once. Damaged packets are skipped with a
    warning in the log, and the last good picture stays. Image files give one picture each, whatever the rate.

    Args:
        path: a video file, an image file, or a folder of numbered image files.
        fps: frames a second of the result; the file's own by default.
        start: how many to leave out; in mp4, mov and mkv that costs little.

    Raises:
        ValueError: `fps` is not positive.
        MediaError: as `probe_video`; on the first `next()`.
    """
    if fps is not None and not fps > 0:
        raise ValueError(f"fps must be positive, got {fps}")
    return _read_frames(path, None if fps is None else Fraction(fps).limit_denominator(100_000), start)


def read_rgb(path: str | Path, fps: Fraction | float | None = None) -> Iterator[np.ndarray]:
    """What `read_frames` gives, as arrays uint8 RGB (H, W, 3)."""
    return (picture.rgb() for picture in read_frames(path, fps))


def _read_frames(path: str | Path, fps: Fraction | None, start: int) -> Iterator[Frame]:
    files = image_files(path)
    if files:
        yield from read_images(files, start)
        return
    first = None
    for frame, slot, count in _shown(path, fps, start):
        if first is None:
            matrix = display_matrix(frame)
        picture = upright_frame(frame, matrix, first)
        first = first or picture
        yield from [picture] * (slot + count - max(slot, start))


def _shown(path: str | Path, fps: Fraction | None, start: int) -> Iterator[tuple[av.VideoFrame, int, int]]:
    """Each frame with its first slot of 1/fps and the number of slots in which it is to be seen, from `start` on.

    Where seeking led too far, the file is read from its beginning.
    """
    for may_seek in (start > 0, False):
        with open_input(path) as container:
            stream = video_stream(container, path)
            shown = _slots_of(container, stream, path, fps, start if may_seek else 0)
            first = next(shown, None)
            if may_seek and (first is None or first[1] > start):
                continue
            if first is None:
                raise MediaError(path, NO_FRAME)
            yield from (entry for entry in chain([first], shown) if entry[1] + entry[2] > start)
            return


def _slots_of(container, stream, path: str | Path, fps: Fraction | None, seek_to: int):
    """Frame, first slot and number of slots; from a frame before slot `seek_to` on."""
    rate = _frame_rate(stream)
    frames = decode_frames(container, stream, path)
    first = next(frames, None)
    if first is None:
        return
    if fps is None or fps == rate:
        # Counted from the first picture, so that neither a start offset nor millisecond time stamps drop a frame.
        fps, origin, at_least = rate, _start_s(first), 1
    else:
        origin, at_least = Fraction(container.start_time or 0, av.time_base), 0
    base = nearest_integer((_start_s(first) - origin) * fps)
    if seek_to and first.pts is not None and container.format.name in SEEKABLE_FORMATS:
        container.seek(int((origin + (base + seek_to) / fps) / stream.time_base), stream=stream)
        timed = _timed(decode_frames(container, stream, path), rate)
    else:
        timed = _timed(chain([first], frames), rate)
    yield from ((frame, slot - base, count) for frame, slot, count in _slots(timed, fps, origin, at_least))


def _start_s(frame: av.VideoFrame) -> Fraction:
    return Fraction(0) if frame.pts is None else frame.pts * frame.time_base


def _timed(frames: Iterable[av.VideoFrame], rate: Fraction) -> Iterator[tuple[av.VideoFrame, Fraction, Fraction]]:
    """Each picture with its start and end in seconds; where the clock jumps, the next one follows at once."""
    last = end = shift = Fraction(0)
    for index, frame in enumerate(frames):
        start = end if frame.pts is None else frame.pts * frame.time_base + shift
        if index and not last - BACK_S <= start <= end + JUMP_S:
            shift, start = shift + end - start, end
        last, end = start, start + (frame.duration * frame.time_base if frame.duration else 1 / rate)
        yield frame, start, end


def _slots(
    timed: Iterable[tuple[av.VideoFrame, Fraction, Fraction]], fps: Fraction, origin: Fraction, at_least: int
) -> Iterator[tuple[av.VideoFrame, int, int]]:
    """Frame, first slot and number of slots; the last frame gets `at_least` that many.

    Where all pictures fall into one slot, the last one is seen in any case.
    """
    shown, slot, end_slot, moved = None, 0, 0, False
    for frame, start, end in timed:
        next_slot = nearest_integer((start - origin) * fps)
        if shown is None:
            slot = next_slot
        elif next_slot > slot:
            yield shown, slot, next_slot - slot
            slot, moved = next_slot, True
        shown, end_slot = frame, nearest_integer((end - origin) * fps)
    if shown is not None:
        yield shown, slot, max(end_slot - slot, at_least if moved else 1)


def exact_rate(fps: Fraction | float) -> Fraction:
    """A rate as a fraction; 23.976, 29.97 and the like become the multiples of 1000/1001 that they stand for."""
    rate = Fraction(fps).limit_denominator(100_000)
    broadcast = Fraction(round(rate * 1001 / 1000) * 1000, 1001)
    return broadcast if abs(rate - broadcast) < NTSC_ROUNDING else rate


def _frame_rate(stream) -> Fraction:
    rates = (stream.guessed_rate, stream.average_rate)
    return next((Fraction(rate) for rate in rates if rate and SANE_FPS[0] <= rate <= SANE_FPS[1]), FALLBACK_FPS)


def _stated_duration_s(container, stream) -> float | None:
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None


def read_audio(path: str | Path) -> tuple[np.ndarray, int]:
    """Sound as float32 (T,) in [-1, 1), the plain mean over channels, and its own sampling rate in Hz.

    Samples pass through 16 bits, because the model was trained on 16-bit files. Sound that starts after the first
    picture gets leading silence, what comes before it is cut. Only the mono sound is held in memory.

    Raises:
        MediaError: the file is missing, is not a media file, or none of its sound can be decoded.
        NoAudioError: it has no audio stream.
    """
    with open_input(path) as container:
        stream = audio_stream(container, path)
        blocks = audio_blocks(container, stream, path, "s16", stream.codec_context.sample_rate)
        mono = [block.mean(axis=0, dtype=np.float32) / np.float32(INT16_STEPS) for block in blocks]
    return np.concatenate([np.zeros(0, np.float32), *mono]), stream.codec_context.sample_rate
