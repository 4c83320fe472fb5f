"""Video files out: pictures and a soundtrack into mp4, mov or mkv, all or nothing.

Pictures are encoded as they come into a hidden folder beside the target. When the last one is there and the length is
known, pictures and sound are interleaved packet by packet into the finished file, which then takes the target's place.
"""

import heapq
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, VideoReformatter

from .errors import MediaError
from .media import ColorTags, VideoInfo
from .media_streams import open_input, rebased_packets, video_stream
from .soundtrack import Soundtrack

# Container and the sound codecs that may be copied into it: what players of that container know.
MP4_SOUND = {"aac", "mp3", "ac3", "eac3", "alac"}
CONTAINERS = {
    ".mp4": ("mp4", MP4_SOUND | {"opus"}),
    ".m4v": ("mp4", MP4_SOUND | {"opus"}),
    ".mov": ("mov", MP4_SOUND),
    ".mkv": ("matroska", MP4_SOUND | {"opus", "flac", "vorbis"}),
}
# swscale's flags area, full_chroma_inp and accurate_rnd: with those of `media`, YUV -> RGB -> YUV -> RGB keeps 60 dB
# and does not drift over generations.
EXACT_TO_YUV = 1 << 5 | 1 << 14 | 1 << 18
HD_HEIGHT_PX = 720
BT709_TAGS = ColorTags(matrix=1, range=1, primaries=1, transfer=1)
BT601_TAGS = ColorTags(matrix=6, range=1, primaries=6, transfer=6)
# Swscale numbers these matrices as AVColorSpace does and has one number for all of BT.601, which is also what FFmpeg
# takes a video for that states nothing.
SWS_MATRICES, SWS_BT601 = {1, 4, 7, 9}, 5


def check_output_path(path: str | Path, *inputs: str | Path | None) -> None:
    """Finds out before the work whether a video can be written there.

    Args:
        path: the video to be written.
        inputs: files that are read meanwhile and must not be overwritten; None is skipped.

    Raises:
        MediaError: unknown suffix, a folder, a missing or unwritable parent folder, or one of the inputs.
    """
    target = Path(path)
    if target.suffix.lower() not in CONTAINERS:
        raise MediaError(
            path,
            f"cannot be written as {target.suffix or 'a file without suffix'}; end its name in "
            + ", ".join(CONTAINERS),
        )
    if target.is_dir():
        raise MediaError(path, "is a folder; name a file in it")
    if any(source is not None and target.resolve() == Path(source).resolve() for source in inputs):
        raise MediaError(path, "is an input as well; choose another name for the output")
    with _writing(path), _hidden_folder_beside(target):
        pass


def _hidden_folder_beside(target: Path) -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.stem}.")


@contextmanager
def _writing(path: str | Path) -> Iterator[None]:
    """Turns what the disk or FFmpeg says into one line that names the target."""
    try:
        yield
    except FileNotFoundError as error:
        raise MediaError(path, "cannot be written: its folder does not exist; create it first") from error
    except (av.error.FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MediaError(path, f"cannot be written: {reason}; choose another folder or make room") from error


class VideoWriter:
    """Writes a video of constant rate with H.264 pictures and, if asked for, a soundtrack of the same length.

    A context manager: the target appears, complete, when the block ends; it stays as it was when the block raises.
    Pictures are yuv420p, so that every player shows them; an odd width or height gets its last column or row twice.
    With `info` the source's colour tags (also missing ones) and matrix are kept, so that a player that showed the
    source shows the copy alike; otherwise BT.709 from 720 rows on, BT.601 below.

    The soundtrack keeps its quality: packets are copied where the container takes the codec and they last to the end;
    otherwise it becomes AAC with the source's sampling rate (the next one AAC has) and channels, cut to or filled with
    silence up to the last picture's end.

    Args:
        path: the target, `.mp4`, `.m4v`, `.mov` or `.mkv`.
        width: of the pictures, in pixels.
        height: of the pictures, in pixels.
        fps: frames a second.
        info: the source, for its colour tags and pixel aspect.
        audio: file with the soundtrack; its time zero meets the first picture.
        audio_sampling_rate: rate in Hz to force; the sound is then always encoded anew.
        audio_channels: number of channels to force, 1 as the mean of all; the sound is then always encoded anew.
        crf: x264's quality, lower is better and larger.
        preset: x264's effort.
        metadata: container tags, such as title and comment.

    Raises:
        ValueError: a size, rate or number of channels that cannot be.
        MediaError: as `check_output_path`, or the soundtrack cannot be read; on entering or leaving, the disk is full.
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
        crf: int = 16,
        preset: str = "veryfast",
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
        self._x264_options = {"crf": str(crf), "preset": preset}
        self._metadata = dict(metadata or {})
        self._reformatter = VideoReformatter()

    def __enter__(self) -> "VideoWriter":
        with ExitStack() as stack, _writing(self.path):
            self._folder = Path(stack.enter_context(_hidden_folder_beside(self.path)))
            self._pictures = av.open(f"file:{self._folder / 'pictures.mp4'}", "w")
            self._stream = self._add_picture_stream()
            self._cleanup = stack.pop_all()
        return self

    def _add_picture_stream(self):
        even = {"width": self.width + self.width % 2, "height": self.height + self.height % 2}
        stream = self._pictures.add_stream("libx264", rate=self.fps, options=self._x264_options, **even)
        context = stream.codec_context
        context.time_base = 1 / self.fps
        context.sample_aspect_ratio = self._pixel_aspect
        context.colorspace, context.color_range = self._tags.matrix, self._tags.range
        context.color_primaries, context.color_trc = self._tags.primaries, self._tags.transfer
        return stream

    def write(self, frame: np.ndarray) -> None:
        """Appends a picture, uint8 RGB (H, W, 3).

        Raises:
            ValueError: it has another type or shape.
            MediaError: it cannot be written, e.g. the disk is full.
        """
        if frame.dtype != np.uint8 or frame.shape != (self.height, self.width, 3):
            raise ValueError(
                f"frame must be uint8 {(self.height, self.width, 3)}, got {frame.dtype} {tuple(frame.shape)}"
            )
        with _writing(self.path):
            self._pictures.mux(self._stream.encode(self._to_yuv(frame)))
        self.frame_count += 1

    def _to_yuv(self, frame: np.ndarray) -> av.VideoFrame:
        if self.width % 2 or self.height % 2:
            frame = np.pad(frame, ((0, self.height % 2), (0, self.width % 2), (0, 0)), mode="edge")
        matrix = self._tags.matrix if self._tags.matrix in SWS_MATRICES else SWS_BT601
        picture = self._reformatter.reformat(
            av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24"),
            format="yuv420p",
            src_colorspace=matrix,
            dst_colorspace=matrix,
            dst_color_range=self._tags.range or ColorRange.MPEG,
            interpolation=EXACT_TO_YUV,
        )
        picture.pts, picture.time_base = self.frame_count, 1 / self.fps
        return picture

    def __exit__(self, error_type, error, traceback) -> None:
        with self._cleanup:
            if error_type is not None:
                with suppress(av.error.FFmpegError):  # the first error counts
                    self._pictures.close()
                return
            if not self.frame_count:
                self._pictures.close()
                raise MediaError(self.path, "not written: there is no frame; check the inputs' lengths")
            with _writing(self.path):
                self._pictures.mux(self._stream.encode(None))
                self._pictures.close()
                self._assemble()

    def _assemble(self) -> None:
        """Interleaves pictures and sound into the finished file and puts it in the target's place."""
        finished = self._folder / f"finished{self.path.suffix}"
        container_name, copied_codecs = CONTAINERS[self.path.suffix.lower()]
        options = {"movflags": "+faststart"} if container_name != "matroska" else {}
        with ExitStack() as stack:
            source = stack.enter_context(open_input(self._folder / "pictures.mp4"))
            out = stack.enter_context(av.open(f"file:{finished}", "w", format=container_name, options=options))
            out.metadata.update(self._metadata)
            pictures = video_stream(source, self.path)
            packets = [
                rebased_packets(source, pictures, out.add_stream_from_template(pictures, opaque=True), self.path)
            ]
            if self._soundtrack:
                end_s = self.frame_count / self.fps
                packets.append(stack.enter_context(self._soundtrack.packets(out, copied_codecs, end_s, 1 / self.fps)))
            for packet in heapq.merge(*packets, key=lambda packet: packet.dts * packet.time_base):
                out.mux(packet)
        finished.replace(self.path)
