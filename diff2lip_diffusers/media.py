"""Video and audio files in: what a file holds, its pictures one after another, its sound.

Time zero of a file is its first picture, or the start of its sound where it has no video. So the pictures,
`read_audio` and the soundtrack that `VideoWriter` takes from the same file stay in step.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.video.reformatter import VideoReformatter

from .errors import MediaError
from .media_streams import audio_blocks, audio_stream, decode_frames, nearest_integer, open_input, video_stream

FALLBACK_FPS = Fraction(25)
# Outside of these a stated rate is a time base (90000, 1000) or nonsense.
SANE_FPS = (Fraction(1, 10), Fraction(300))
# FFmpeg's default YUV -> RGB path darkens by about one level, again with every generation; with swscale's flags
# bilinear, full_chroma_int and accurate_rnd it does not. Numbers, because PyAV names them from 18 on only.
EXACT_TO_RGB = 1 << 1 | 1 << 13 | 1 << 18
INT16_STEPS = 32768
# FFmpeg's number for "not stated" (matrix, primaries, transfer), and the AVColorSpace numbers that swscale converts.
UNSPECIFIED = 2
KNOWN_MATRICES = {1, 2, 4, 5, 6, 7, 9}
NO_PICTURE = "holds no picture that can be decoded; record or convert it again"


@dataclass(frozen=True)
class ColorTags:
    """How the YUV numbers of a video are to be understood, in FFmpeg's numbers; the defaults mean "not stated".

    Attributes:
        matrix: AVColorSpace, e.g. 1 for BT.709; 2 is read and written as BT.601, as FFmpeg does.
        range: 1 for 16–235, 2 for 0–255; 0 is read and written as 16–235.
        primaries: AVColorPrimaries; only passed on.
        transfer: AVColorTransferCharacteristic; only passed on.
    """

    matrix: int = UNSPECIFIED
    range: int = 0
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds, as `read_frames` yields it.

    Attributes:
        width: of the upright pictures, in pixels.
        height: of the upright pictures, in pixels.
        fps: frames a second, 25 where the file states nothing usable.
        duration_s: as the file states it; None where it does not.
        has_audio: whether `read_audio` finds a sound stream.
        color: the source's tags, for `VideoWriter`; None where it is not YUV (GIF, PNG) or swscale lacks its matrix.
        pixel_aspect: width of a pixel over its height.
    """

    width: int
    height: int
    fps: Fraction
    duration_s: float | None
    has_audio: bool
    color: ColorTags | None = None
    pixel_aspect: Fraction = Fraction(1)


def probe_video(path: str | Path) -> VideoInfo:
    """What the first real video stream of a file holds (cover art does not count); decodes one picture.

    Raises:
        MediaError: the file is missing, is not a media file, or holds no picture that can be decoded.
    """
    with open_input(path) as container:
        stream = video_stream(container, path)
        frame = next(decode_frames(container, stream, path), None)
        if frame is None:
            raise MediaError(path, NO_PICTURE)
        on_its_side = _lies_on_its_side(_display_matrix(frame))
        width, height = (frame.height, frame.width) if on_its_side else (frame.width, frame.height)
        aspect = stream.sample_aspect_ratio or Fraction(1)
        return VideoInfo(
            width=width,
            height=height,
            fps=_frame_rate(stream),
            duration_s=_stated_duration_s(container, stream),
            has_audio=container.streams.best("audio") is not None,
            color=_color_tags(frame),
            pixel_aspect=1 / aspect if on_its_side else aspect,
        )


def read_frames(path: str | Path, fps: Fraction | float | None = None) -> Iterator[np.ndarray]:
    """Pictures uint8 RGB (H, W, 3) at a constant rate, upright, one after another.

    A picture is shown from the nearest slot of 1/fps until the next one starts, as FFmpeg's `fps` filter does it; a
    clip of constant rate read at its own rate gives each of its frames once. Damaged packets are skipped with a
    warning in the log, and the last good picture stays.

    Args:
        path: the video file.
        fps: frames a second of the result; the file's own by default.

    Raises:
        ValueError: `fps` is not positive.
        MediaError: as `probe_video`; on the first `next()`.
    """
    if fps is not None and not fps > 0:
        raise ValueError(f"fps must be positive, got {fps}")
    return _read_frames(path, None if fps is None else Fraction(fps).limit_denominator(100_000))


def _read_frames(path: str | Path, fps: Fraction | None) -> Iterator[np.ndarray]:
    to_rgb = None
    with open_input(path) as container:
        stream = video_stream(container, path)
        for frame, count in _shown(container, stream, path, fps):
            to_rgb = to_rgb or _RgbConverter(frame)
            for _ in range(count):  # converted anew each time: the caller may paint into what it gets
                yield to_rgb(frame)
    if to_rgb is None:
        raise MediaError(path, NO_PICTURE)


def _shown(container, stream, path: str | Path, fps: Fraction | None) -> Iterator[tuple[av.VideoFrame, int]]:
    """Each picture with the number of slots of 1/fps in which it is to be seen."""
    rate = _frame_rate(stream)
    timed = _timed(decode_frames(container, stream, path), rate)
    if fps is None or fps == rate:
        # Counted from the first picture, so that neither a start offset nor millisecond time stamps drop a frame.
        yield from _slots(timed, rate, origin=None)
    else:
        yield from _slots(timed, fps, origin=Fraction(container.start_time or 0, av.time_base))


def _timed(frames: Iterable[av.VideoFrame], rate: Fraction) -> Iterator[tuple[av.VideoFrame, Fraction, Fraction]]:
    """Each picture with its start and end in seconds."""
    end = Fraction(0)
    for frame in frames:
        start = end if frame.pts is None else frame.pts * frame.time_base
        end = start + (frame.duration * frame.time_base if frame.duration else 1 / rate)
        yield frame, start, end


def _slots(
    timed: Iterable[tuple[av.VideoFrame, Fraction, Fraction]], fps: Fraction, origin: Fraction | None
) -> Iterator[tuple[av.VideoFrame, int]]:
    """Picture and count; with `origin` None time counts from the first picture, and the last one is always seen.

    Where all pictures fall into one slot, the last one is seen in any case.
    """
    from_first = origin is None
    shown, slot, end_slot, at_least = None, 0, 0, 1
    for frame, start, end in timed:
        origin = start if origin is None else origin
        next_slot = nearest_integer((start - origin) * fps)
        if shown is None:
            slot = next_slot
        elif next_slot > slot:
            yield shown, next_slot - slot
            slot, at_least = next_slot, int(from_first)
        shown, end_slot = frame, nearest_integer((end - origin) * fps)
    if shown is not None:
        yield shown, max(end_slot - slot, at_least)


class _RgbConverter:
    """Makes every picture of a file upright RGB of the size of its first one."""

    def __init__(self, first: av.VideoFrame):
        self._size = first.width, first.height
        # Asked once: every access to a frame's side data keeps the frame alive until the next garbage collection.
        self._matrix = _display_matrix(first)
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        if not frame.format.is_rgb and frame.colorspace not in KNOWN_MATRICES:
            frame.colorspace = UNSPECIFIED  # rather than swscale's "not supported"
        rgb = self._reformatter.reformat(frame, *self._size, format="rgb24", interpolation=EXACT_TO_RGB)
        return np.ascontiguousarray(_upright(rgb.to_ndarray(), self._matrix))


def _display_matrix(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """a, b, c, d of x' = a·x + c·y, y' = b·x + d·y: how the decoded picture is to be turned and mirrored."""
    side_data = frame.side_data.get(SideDataType.DISPLAYMATRIX)
    if side_data is None:
        return 1, 0, 0, 1
    a, b, _, c, d, *_ = np.frombuffer(bytes(side_data), np.int32).tolist()
    return a, b, c, d


def _lies_on_its_side(matrix: tuple[int, int, int, int]) -> bool:
    return abs(matrix[1]) > abs(matrix[0])


def _upright(picture: np.ndarray, matrix: tuple[int, int, int, int]) -> np.ndarray:
    """(H, W, C) turned by the nearest multiple of 90° and mirrored as the display matrix says."""
    x_sign, b, c, y_sign = matrix
    if _lies_on_its_side(matrix):
        picture, x_sign, y_sign = picture.swapaxes(0, 1), c, b
    return picture[:: -1 if y_sign < 0 else 1, :: -1 if x_sign < 0 else 1]


def _color_tags(frame: av.VideoFrame) -> ColorTags | None:
    if frame.format.is_rgb or "pal" in frame.format.name or frame.colorspace not in KNOWN_MATRICES:
        return None
    return ColorTags(frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc)


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
        blocks = audio_blocks(container, stream, path, "s16p", stream.codec_context.sample_rate)
        mono = [block.mean(axis=0, dtype=np.float32) / np.float32(INT16_STEPS) for block in blocks]
    return np.concatenate([np.zeros(0, np.float32), *mono]), stream.codec_context.sample_rate
