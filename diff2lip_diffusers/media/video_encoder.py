"""Encodes video without audio, to be muxed later."""

from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import ColorRange

from ..errors import MediaError
from ..output_paths import writing
from .encoders import RGB_FORMATS, choose_encoding, default_codec
from .frame import ColorTags, Frame
from .pixel_formats import encodable_size
from .reader import VideoInfo

MATRIX_RGB = 0  # AVColorSpace
HD_HEIGHT_PX = 720
BT709_TAGS = ColorTags(matrix=1, range=1, primaries=1, transfer=1)
BT601_TAGS = ColorTags(matrix=6, range=1, primaries=6, transfer=6)


class VideoEncoder:
    """Encodes frames of one size at a constant rate. Frames in the encoder's own format reach it unchanged.

    Open it, write to it and close it. Once open, it can be used as a context manager that closes it.

    Args:
        target: the final video; its suffix decides on formats, and errors name it.
        width: of the frames, in pixels.
        height: of the frames, in pixels.
        fps: frames per second.
        info: the source, for its color tags, pixel format and pixel aspect.
        codec: a key of `CODECS`; by default H.264, HEVC for HDR.
        crf: 0 to 51, lower is better and larger; by default the result looks like the source.
        lossless: whether to keep every pixel bit-exact.

    Attributes:
        frame_count: frames written so far.
        tag: the stream's codec tag in mp4 and mov; None for FFmpeg's choice.
        suffix: of the encoded file. Mov keeps any frame rate exactly, but cannot contain FFV1.

    Raises:
        ValueError: impossible size, rate or settings.
        MediaError: the codec is not available, or the target cannot contain it; from the methods, the disk is full.
    """

    def __init__(
        self,
        target: Path,
        *,
        width: int,
        height: int,
        fps: Fraction | float,
        info: VideoInfo | None = None,
        codec: str | None = None,
        crf: int | None = None,
        lossless: bool = False,
    ):
        if width < 1 or height < 1 or not fps > 0:
            raise ValueError(f"width, height and fps must be positive, got {width}, {height}, {fps}")
        self.target, self.width, self.height = target, width, height
        self.fps = Fraction(fps).limit_denominator(100_000)
        self.frame_count = 0
        self._tags = info.color if info and info.color else BT709_TAGS if height >= HD_HEIGHT_PX else BT601_TAGS
        self._pixel_aspect = info.pixel_aspect if info else Fraction(1)
        source_format = info.pixel_format if info else "gbrp"
        codec = codec or default_codec(self._tags, lossless)
        self._encoding = choose_encoding(target, codec, source_format, crf, lossless, width * height)
        self.tag = self._encoding.tag
        self.suffix = ".mkv" if self._encoding.encoder == "ffv1" else ".mov"

    def open(self, path: Path) -> None:
        """Starts the file `path`, whose name must end in `suffix`."""
        with ExitStack() as stack, writing(self.target):
            self._container = stack.enter_context(av.open(f"file:{path}", "w"))
            self._stream = self._add_stream()
            self._cleanup = stack.pop_all()

    def _add_stream(self) -> av.VideoStream:
        encoding = self._encoding
        stream: av.VideoStream = self._container.add_stream(  # pyright: ignore[reportAssignmentType]  # a video codec
            encoding.encoder, rate=self.fps, options=encoding.options
        )
        context = stream.codec_context
        context.pix_fmt = encoding.pixel_format
        context.width, context.height = encodable_size(self.width, self.height, encoding.pixel_format)
        context.time_base = 1 / self.fps
        context.sample_aspect_ratio = self._pixel_aspect
        if encoding.pixel_format in RGB_FORMATS:
            context.colorspace, context.color_range = MATRIX_RGB, ColorRange.JPEG
        else:
            context.colorspace, context.color_range = self._tags.matrix, self._tags.range
        context.color_primaries, context.color_trc = self._tags.primaries, self._tags.transfer
        if encoding.tag:
            context.codec_tag = encoding.tag
        self._start(context)
        return stream

    def _start(self, context: av.VideoCodecContext) -> None:
        try:
            context.open()
        except (FFmpegError, OSError) as error:
            raise MediaError(
                self.target, f"{self._encoding.encoder} cannot encode here ({error.strerror}); choose another codec"
            ) from error

    def write(self, frame: Frame | np.ndarray) -> None:
        """Appends a frame, or an array uint8 RGB (H, W, 3).

        Raises:
            ValueError: it has another type or shape.
            MediaError: it cannot be written, e.g. the disk is full.
        """
        if isinstance(frame, np.ndarray):
            frame = self._as_frame(frame)
        if (frame.width, frame.height) != (self.width, self.height):
            raise ValueError(
                f"frame must have {self.width} x {self.height} pixels, got {frame.width} x {frame.height}"
            )
        context = self._stream.codec_context
        av_frame = frame.to_av_frame(self._encoding.pixel_format, context.width, context.height, self._tags)
        av_frame.pts, av_frame.time_base = self.frame_count, 1 / self.fps
        with writing(self.target):
            self._container.mux(self._stream.encode(av_frame))
        self.frame_count += 1

    def _as_frame(self, array: np.ndarray) -> Frame:
        if array.dtype != np.uint8 or array.shape != (self.height, self.width, 3):
            raise ValueError(f"frame must be uint8 {(self.height, self.width, 3)}, got {array.dtype} {array.shape}")
        return Frame.from_rgb(array)

    def close(self, complete: bool = True) -> None:
        """Finishes the file; an incomplete file is not usable."""
        with self._cleanup:
            if not complete:
                with suppress(FFmpegError):  # the first error counts
                    self._container.close()
                return
            with writing(self.target):
                if self.frame_count:
                    self._container.mux(self._stream.encode(None))
                self._container.close()

    def __enter__(self) -> "VideoEncoder":
        return self

    def __exit__(self, error_type, error, traceback) -> None:
        self.close(complete=error_type is None)
