"""Reads media files: what they contain, their frames one by one, their audio.

Time zero of a file is its first frame, or the start of its audio if it has no video. This keeps the frames,
`read_audio` and the audio that `VideoWriter` takes from the same file in sync.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer

from ..errors import MediaError
from .containers import MAX_PIXELS, MAX_STILL_PIXELS
from .decoded_frames import display_matrix, swaps_sides, upright_frame
from .frame import ColorTags, Frame
from .image_files import image_files, read_images
from .pixel_formats import bytes_per_pixel
from .streams import (
    MAX_STEP_AHEAD_S,
    MAX_STEP_BACK_S,
    audio_blocks,
    audio_stream,
    decode_frames,
    nearest_integer,
    open_input,
    start_s,
    video_stream,
)

FALLBACK_FPS = Fraction(25)
# A stated rate outside this range is a time base (90000, 1000) or nonsense.
SANE_FPS = (Fraction(1, 10), Fraction(300))
NTSC_ROUNDING = Fraction(1, 10_000)
INT16_STEPS = 32768
# Containers in which FFmpeg seeks exactly; others are read from their start.
SEEKABLE_FORMATS = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}
# Time stamps may show each picture for so long on average, and one of them for longer.
MAX_SHOWN_S, MAX_STRETCH_S = MAX_STEP_AHEAD_S, 600
CURE = "convert it again, or pass one picture as an image"
NO_FRAME = "has no frame that can be decoded; record or convert it again"


@dataclass(frozen=True)
class VideoInfo:
    """Properties of a video, as `read_frames` yields it.

    Attributes:
        width: of the upright frames, in pixels.
        height: of the upright frames, in pixels.
        fps: frames per second; 25 if the file states nothing usable, as with images.
        duration_s: as the file states it; None if it does not.
        has_audio: whether there is an audio stream for `read_audio`.
        color: the source's color tags, for `VideoWriter`; None if it is not YUV (GIF, PNG).
        pixel_aspect: width of a pixel divided by its height.
        pixel_format: FFmpeg's name of the frames' pixel format.
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

    @property
    def frame_bytes(self) -> float:
        """Memory that a frame takes, in bytes."""
        return self.width * self.height * bytes_per_pixel(self.pixel_format)


def probe_video(path: str | Path, max_pixels: int | None = None) -> VideoInfo:
    """Returns the properties of a video; decodes one frame. Cover art is no video.

    Args:
        path: a video file, an image file, or a folder of numbered image files.
        max_pixels: most pixels of a frame: larger ones of a video are refused, larger images are scaled down; by
            default 9.4 million in a video, a little more than 4K, and 4.9 million in an image.

    Raises:
        MediaError: it is missing, of no known kind, too large, or has no frame that can be decoded.
    """
    files = image_files(path)
    return _probe_images(files, max_pixels) if files else _probe_file(path, max_pixels)


def _probe_images(files: Sequence[Path], max_pixels: int | None) -> VideoInfo:
    first = next(read_images(files, 0, max_pixels or MAX_STILL_PIXELS))
    return VideoInfo(
        width=first.width,
        height=first.height,
        fps=FALLBACK_FPS,
        duration_s=float(len(files) / FALLBACK_FPS),
        has_audio=False,
        pixel_format=first.format,
        is_still=len(files) == 1,
    )


def _probe_file(path: str | Path, max_pixels: int | None) -> VideoInfo:
    with open_input(path) as container:
        limit = max_pixels or MAX_PIXELS
        stream = video_stream(container, path, limit)
        av_frame = _first_frame(container, stream, path, limit)
        matrix = display_matrix(av_frame)
        frame = upright_frame(av_frame, matrix)
        aspect = stream.sample_aspect_ratio or Fraction(1)
        return VideoInfo(
            width=frame.width,
            height=frame.height,
            fps=_frame_rate(stream),
            duration_s=_stated_duration_s(container, stream),
            has_audio=container.streams.best("audio") is not None,
            color=frame.tags,
            pixel_aspect=1 / aspect if swaps_sides(matrix) else aspect,
            pixel_format=frame.format,
        )


def _first_frame(
    container: InputContainer, stream: av.VideoStream, path: str | Path, max_pixels: int
) -> av.VideoFrame:
    frame = next(decode_frames(container, stream, path, max_pixels), None)
    if frame is None:
        raise MediaError(path, NO_FRAME)
    return frame


def read_frames(
    path: str | Path,
    fps: Fraction | float | None = None,
    start: int = 0,
    max_pixels: int | None = None,
    hwaccel: str | None = None,
) -> Iterator[Frame]:
    """Yields the frames of a video at a constant rate, upright.

    Each frame is shown from the nearest slot of 1/fps until the next one starts, as by FFmpeg's `fps` filter. A clip
    of constant rate read at its own rate gives each of its frames once. Damaged packets are skipped with a warning in
    the log; the last good frame is shown instead. Image files give one frame each, whatever the rate.

    Args:
        path: a video file, an image file, or a folder of numbered image files.
        fps: frames per second of the result; the file's own by default.
        start: how many frames to skip; this is fast in mp4, mov and mkv.
        max_pixels: as for `probe_video`.
        hwaccel: hardware decoder, one of `HARDWARE_DECODERS`; a codec that it does not know is decoded as ever.

    Raises:
        ValueError: `fps` is not positive.
        MediaError: as `probe_video`, on the first `next()`; or time stamps show few pictures for a very long time.
    """
    if fps is not None and not fps > 0:
        raise ValueError(f"fps must be positive, got {fps}")
    rate = None if fps is None else Fraction(fps).limit_denominator(100_000)
    return _read_frames(path, rate, start, max_pixels, hwaccel)


def read_rgb(path: str | Path, fps: Fraction | float | None = None) -> Iterator[np.ndarray]:
    """Yields the frames of `read_frames` as arrays uint8 RGB (H, W, 3)."""
    return (frame.rgb() for frame in read_frames(path, fps))


def _read_frames(
    path: str | Path, fps: Fraction | None, start: int, max_pixels: int | None, hwaccel: str | None
) -> Iterator[Frame]:
    files = image_files(path)
    if files:
        yield from read_images(files, start, max_pixels or MAX_STILL_PIXELS)
        return
    first = matrix = None
    for av_frame, slot, count in _shown(path, fps, start, max_pixels, hwaccel):
        matrix = matrix or display_matrix(av_frame)
        frame = upright_frame(av_frame, matrix, first)
        first = first or frame.outline()
        yield from [frame] * (slot + count - max(slot, start))


def _shown(
    path: str | Path, fps: Fraction | None, start: int, max_pixels: int | None, hwaccel: str | None
) -> Iterator[tuple[av.VideoFrame, int, int]]:
    """Yields each frame, its first slot of 1/fps and the number of slots that show it, from slot `start` on.

    If seeking goes too far, the file is read from its beginning.
    """
    limit = max_pixels or MAX_PIXELS
    for may_seek in (start > 0, False):
        with open_input(path, hwaccel) as container:
            stream = video_stream(container, path, limit)
            shown = _slots_of(container, stream, path, fps, start if may_seek else 0, limit)
            first = next(shown, None)
            if may_seek and (first is None or first[1] > start):
                continue
            if first is None:
                raise MediaError(path, NO_FRAME)
            yield from (entry for entry in chain([first], shown) if entry[1] + entry[2] > start)
            return


def _slots_of(
    container: InputContainer,
    stream: av.VideoStream,
    path: str | Path,
    fps: Fraction | None,
    seek_to: int,
    max_pixels: int,
) -> Iterator[tuple[av.VideoFrame, int, int]]:
    """Yields frame, first slot and number of slots, from a frame before slot `seek_to` on."""
    rate = _frame_rate(stream)
    frames = decode_frames(container, stream, path, max_pixels)
    first = next(frames, None)
    if first is None:
        return
    if fps is None or fps == rate:
        # Slots count from the first frame, so that neither a start offset nor millisecond time stamps drop a frame.
        fps, origin, at_least = rate, start_s(first), 1
    else:
        origin, at_least = Fraction(container.start_time or 0, av.time_base), 0
    base = nearest_integer((start_s(first) - origin) * fps)
    can_seek = first.pts is not None and container.format.name in SEEKABLE_FORMATS
    if seek_to and can_seek and stream.time_base:
        container.seek(int((origin + (base + seek_to) / fps) / stream.time_base), stream=stream)
        timed = _timed(decode_frames(container, stream, path, max_pixels), rate)
    else:
        timed = _timed(chain([first], frames), rate)
    shown_s = Fraction(0)
    for pictures, (frame, slot, count) in enumerate(_slots(timed, fps, origin, at_least), 1):
        shown_s += count / fps
        if shown_s > MAX_STRETCH_S + MAX_SHOWN_S * pictures:
            raise MediaError(path, f"its time stamps show {pictures} pictures for {float(shown_s):.0f} s; {CURE}")
        yield frame, slot - base, count


def _timed(frames: Iterable[av.VideoFrame], rate: Fraction) -> Iterator[tuple[av.VideoFrame, Fraction, Fraction]]:
    """Yields each frame with its start and end in seconds; where the clock jumps, the next frame follows at once."""
    last = end = shift = Fraction(0)
    for index, frame in enumerate(frames):
        start = end if frame.pts is None else start_s(frame) + shift
        if index and not last - MAX_STEP_BACK_S <= start <= end + MAX_STEP_AHEAD_S:
            shift, start = shift + end - start, end
        duration = frame.duration * frame.time_base if frame.duration and frame.time_base else 1 / rate
        last, end = start, start + duration
        yield frame, start, end


def _slots(
    timed: Iterable[tuple[av.VideoFrame, Fraction, Fraction]], fps: Fraction, origin: Fraction, at_least: int
) -> Iterator[tuple[av.VideoFrame, int, int]]:
    """Yields frame, first slot and number of slots; the last frame gets at least `at_least`.

    If all frames fall into one slot, the last one is shown.
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
    """Returns a rate as a fraction; 23.976, 29.97 and the like become the multiples of 1000/1001 that they mean."""
    rate = Fraction(fps).limit_denominator(100_000)
    broadcast = Fraction(round(rate * 1001 / 1000) * 1000, 1001)
    return broadcast if abs(rate - broadcast) < NTSC_ROUNDING else rate


def _frame_rate(stream: av.VideoStream) -> Fraction:
    rates = (stream.guessed_rate, stream.average_rate)
    return next((Fraction(rate) for rate in rates if rate and SANE_FPS[0] <= rate <= SANE_FPS[1]), FALLBACK_FPS)


def _stated_duration_s(container: InputContainer, stream: av.VideoStream) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None


def read_audio(path: str | Path) -> tuple[np.ndarray, int]:
    """Returns audio as float32 (T,) in [-1, 1), the mean over channels, and the file's sampling rate in Hz.

    Samples pass through 16 bits, because the model was trained on 16-bit files. Audio that starts after the first
    frame gets leading silence; audio before it is cut. Only the mono audio is held in memory.

    Raises:
        MediaError: the file is missing, is not a media file, or none of its audio can be decoded.
        NoAudioError: it has no audio stream.
    """
    with open_input(path) as container:
        stream = audio_stream(container, path)
        blocks = audio_blocks(container, stream, path, "s16", stream.codec_context.sample_rate)
        mono = [block.mean(axis=0, dtype=np.float32) / np.float32(INT16_STEPS) for block in blocks]
    return np.concatenate([np.zeros(0, np.float32), *mono]), stream.codec_context.sample_rate
