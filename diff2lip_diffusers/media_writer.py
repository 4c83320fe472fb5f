"""Video files out: pictures and a soundtrack into mp4, mov or mkv, all or nothing.

Pictures are encoded as they come into a hidden folder beside the target. When the last one is there and the length is
known, pictures and sound are interleaved packet by packet into the finished file, which then takes the target's place.
Pictures in the encoder's own format reach it untouched.
"""

import heapq
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange

from .encoders import RGB_FORMATS, choose_encoding, default_codec
from .errors import MediaError
from .media import VideoInfo
from .media_streams import open_input, rebased_packets, video_stream
from .output_paths import check_output_path, hidden_folder_beside, writing
from .pictures import ColorTags, Picture
from .pixel_formats import encodable_size
from .soundtrack import Soundtrack

# Container and the sound codecs that may be copied into it: what players of that container know.
MP4_SOUND = {"aac", "mp3", "ac3", "eac3", "alac"}
CONTAINERS = {
    ".mp4": ("mp4", MP4_SOUND | {"opus"}),
    ".m4v": ("mp4", MP4_SOUND | {"opus"}),
    ".mov": ("mov", MP4_SOUND),
    ".mkv": ("matroska", MP4_SOUND | {"opus", "flac", "vorbis"}),
}
MATRIX_RGB = 0  # AVColorSpace
HD_HEIGHT_PX = 720
BT709_TAGS = ColorTags(matrix=1, range=1, primaries=1, transfer=1)
BT601_TAGS = ColorTags(matrix=6, range=1, primaries=6, transfer=6)


class VideoWriter:
    """Writes a video of constant rate and, if asked for, a soundtrack of the same length.

    A context manager: the target appears, complete, when the block ends; it stays as it was when the block raises.
    With `info` the source's colour tags (also missing ones) and matrix are kept, so that a player that showed the
    source shows the copy alike; otherwise BT.709 from 720 rows on, BT.601 below.

    H.264 is written in 8 bits with 4:2:0 chroma, so that every player shows it; HEVC and ProRes keep 10 bits, lossless
    codecs the source's format. An odd width or height gets its last column or row twice where chroma is reduced.

    The soundtrack keeps its quality: packets are copied where the container takes the codec and they last to the end;
    otherwise it becomes AAC with the source's sampling rate (the next one AAC has) and channels, cut to or filled with
    silence up to the last picture's end.

    Args:
        path: the target, `.mp4`, `.m4v`, `.mov` or `.mkv`.
        width: of the pictures, in pixels.
        height: of the pictures, in pixels.
        fps: frames a second.
        info: the source, for its colour tags, pixel format and pixel aspect.
        audio: file with the soundtrack; its time zero meets the first picture.
        audio_sampling_rate: rate in Hz to force; the sound is then always encoded anew.
        audio_channels: number of channels to force, 1 as the mean of all; the sound is then always encoded anew.
        codec: a key of `CODECS`; H.264 by default, HEVC for HDR.
        quality: 0 to 51, lower is better and larger; by default what the eye cannot tell from the source.
        lossless: whether to keep every pixel to the bit.
        metadata: container tags, such as title and comment.

    Raises:
        ValueError: a size, rate, number of channels or quality that cannot be.
        MediaError: as `check_output_path`, the codec cannot be had, or the soundtrack cannot be read; on entering or
            leaving, the disk is full.
        NoAudioError: `audio` has no audio stream.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        width: int,
        height: int,
        fps: Fraction | float,
        info: VideoInfo | None = None,
        audio: str | Path | None = None,
        audio_sampling_rate: int | None = None,
        audio_channels: int | None = None,
        codec: str | None = None,
        quality: int | None = None,
        lossless: bool = False,
        metadata: dict[str, str] | None = None,
    ):
        if width < 1 or height < 1 or not fps > 0:
            raise ValueError(f"width, height and fps must be positive, got {width}, {height}, {fps}")
        check_output_path(path, audio)
        self.path, self.width, self.height = Path(path), width, height
        self.fps = Fraction(fps).limit_denominator(100_000)
        self.frame_count = 0
        self._soundtrack = None if audio is None else Soundtrack(audio, audio_sampling_rate, audio_channels)
        self._tags = info.color if info and info.color else BT709_TAGS if height >= HD_HEIGHT_PX else BT601_TAGS
        self._pixel_aspect = info.pixel_aspect if info else Fraction(1)
        source_format = info.pixel_format if info else "gbrp"
        codec = codec or default_codec(self._tags, lossless)
        self._encoding = choose_encoding(self.path, codec, source_format, quality, lossless)
        self._metadata = dict(metadata or {})

    def __enter__(self) -> "VideoWriter":
        with ExitStack() as stack, writing(self.path):
            self._folder = Path(stack.enter_context(hidden_folder_beside(self.path)))
            # Mov keeps any frame rate exactly, but does not take FFV1.
            self._unmixed = self._folder / f"pictures{'.mkv' if self._encoding.encoder == 'ffv1' else '.mov'}"
            self._pictures = stack.enter_context(av.open(f"file:{self._unmixed}", "w"))
            self._stream = self._add_picture_stream()
            self._cleanup = stack.pop_all()
        return self

    def _add_picture_stream(self):
        encoding = self._encoding
        stream = self._pictures.add_stream(encoding.encoder, rate=self.fps, options=encoding.options)
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
        self._open(context)
        return stream

    def _open(self, context) -> None:
        try:
            context.open()
        except (av.error.FFmpegError, OSError) as error:
            raise MediaError(
                self.path, f"{self._encoding.encoder} cannot encode here ({error.strerror}); choose another codec"
            ) from error

    def write(self, picture: Picture | np.ndarray) -> None:
        """Appends a picture, or an array uint8 RGB (H, W, 3).

        Raises:
            ValueError: it has another type or shape.
            MediaError: it cannot be written, e.g. the disk is full.
        """
        if isinstance(picture, np.ndarray):
            picture = self._as_picture(picture)
        if (picture.width, picture.height) != (self.width, self.height):
            raise ValueError(
                f"picture must have {self.width} x {self.height} pixels, got {picture.width} x {picture.height}"
            )
        context = self._stream.codec_context
        frame = picture.to_frame(context.pix_fmt, context.width, context.height, self._tags)
        frame.pts, frame.time_base = self.frame_count, 1 / self.fps
        with writing(self.path):
            self._pictures.mux(self._stream.encode(frame))
        self.frame_count += 1

    def _as_picture(self, array: np.ndarray) -> Picture:
        if array.dtype != np.uint8 or array.shape != (self.height, self.width, 3):
            raise ValueError(f"frame must be uint8 {(self.height, self.width, 3)}, got {array.dtype} {array.shape}")
        return Picture.from_rgb(array)

    def __exit__(self, error_type, error, traceback) -> None:
        with self._cleanup:
            if error_type is not None:
                with suppress(av.error.FFmpegError):  # the first error counts
                    self._pictures.close()
                return
            if not self.frame_count:
                self._pictures.close()
                raise MediaError(self.path, "not written: there is no frame; check the inputs' lengths")
            with writing(self.path):
                self._pictures.mux(self._stream.encode(None))
                self._pictures.close()
                self._assemble()

    def _assemble(self) -> None:
        """Interleaves pictures and sound into the finished file and puts it in the target's place."""
        finished = self._folder / f"finished{self.path.suffix}"
        container_name, copied_codecs = CONTAINERS[self.path.suffix.lower()]
        options = {"movflags": "+faststart"} if container_name != "matroska" else {}
        with ExitStack() as stack:
            source = stack.enter_context(open_input(self._unmixed))
            out = stack.enter_context(av.open(f"file:{finished}", "w", format=container_name, options=options))
            out.metadata.update(self._metadata)
            pictures = video_stream(source, self.path)
            target = out.add_stream_from_template(pictures, opaque=True)
            if self._encoding.tag:
                target.codec_context.codec_tag = self._encoding.tag
            packets = [rebased_packets(source, pictures, target, self.path)]
            if self._soundtrack:
                end_s = self.frame_count / self.fps
                packets.append(stack.enter_context(self._soundtrack.packets(out, copied_codecs, end_s, 1 / self.fps)))
            for packet in heapq.merge(*packets, key=lambda packet: packet.dts * packet.time_base):
                out.mux(packet)
        finished.replace(self.path)
