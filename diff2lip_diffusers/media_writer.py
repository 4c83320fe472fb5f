"""Video files out: pictures and a soundtrack into mp4, mov or mkv, all or nothing.

Pictures are encoded as they come into a hidden folder beside the target. When the last one is there and the length is
known, pictures and sound are interleaved packet by packet into the finished file, which then takes the target's place.
"""

import heapq
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, VideoReformatter

from .errors import MediaError
from .media import ColorTags, VideoInfo, audio_blocks, audio_stream, open_input, read_packets, time_zero, video_stream

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

AAC_FRAME = 1024
AAC_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}
AAC_BITS_PER_SAMPLE = 6  # the format allows 6144 bits a channel and frame
CHANNEL_BIT_RATE = 96_000
# Copied packets may start this much before the first picture: a decoder needs the one before; players hide it.
PREROLL_S = Fraction(1, 10)


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
    with _writing(path), tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.stem}."):
        pass


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
        with _writing(self.path):
            folder = tempfile.TemporaryDirectory(dir=self.path.parent, prefix=f".{self.path.stem}.")
        with ExitStack() as stack, _writing(self.path):
            self._folder = Path(stack.enter_context(folder))
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
            packets = [_rebased(source, pictures, out.add_stream_from_template(pictures, opaque=True), self.path)]
            if self._soundtrack:
                end_s = self.frame_count / self.fps
                packets.append(stack.enter_context(self._soundtrack.packets(out, copied_codecs, end_s, 1 / self.fps)))
            for packet in heapq.merge(*packets, key=lambda packet: packet.dts * packet.time_base):
                out.mux(packet)
        finished.replace(self.path)


def _rebased(container, stream, out_stream, path: str | Path, zero_s: Fraction = Fraction(0)) -> Iterator[av.Packet]:
    """The packets of a stream, for another container, with time counted from `zero_s`."""
    zero = round(zero_s / stream.time_base)
    for packet in read_packets(container, stream, path):
        if packet.size:
            packet.pts = (packet.dts if packet.pts is None else packet.pts) - zero
            packet.dts = packet.pts if packet.dts is None else packet.dts - zero
            packet.stream = out_stream
            yield packet


class Soundtrack:
    """Sound of a file as packets for a video of known length.

    Raises:
        ValueError: a sampling rate or number of channels that AAC does not have.
        MediaError: the file cannot be read, or its sound not decoded.
        NoAudioError: it has no audio stream.
    """

    def __init__(self, path: str | Path, sampling_rate: int | None, channels: int | None):
        if sampling_rate is not None and sampling_rate not in _aac_rates():
            raise ValueError(f"audio_sampling_rate must be one of {_aac_rates()}, got {sampling_rate}")
        if channels is not None and channels not in AAC_LAYOUTS:
            raise ValueError(f"audio_channels must be one of {sorted(AAC_LAYOUTS)}, got {channels}")
        self.path, self.sampling_rate, self.channels = path, sampling_rate, channels
        with open_input(path) as container:  # fails now rather than after the last picture
            stream = audio_stream(container, path)
            next(audio_blocks(container, stream, path, "fltp", stream.codec_context.sample_rate))

    @contextmanager
    def packets(self, out, copied_codecs: set[str], end_s: Fraction, frame_s: Fraction):
        """Adds a sound stream to the opened container `out`; gives the iterator over its packets up to `end_s`."""
        with open_input(self.path) as container:
            stream = audio_stream(container, self.path)
            if self._may_copy(stream, copied_codecs) and self._stated_end_s() >= end_s - frame_s:
                out_stream = out.add_stream_from_template(stream, opaque=True)
                packets = _rebased(container, stream, out_stream, self.path, time_zero(container))
                yield _cut(packets, end_s)
            else:
                yield self._encoded(container, stream, self._add_aac_stream(out, stream), end_s, frame_s)

    def _may_copy(self, stream, copied_codecs: set[str]) -> bool:
        return self.sampling_rate is None and self.channels is None and _codec_name(stream) in copied_codecs

    def _stated_end_s(self) -> Fraction:
        """Where the last packet ends; headers are often wrong about it."""
        with open_input(self.path) as container:
            stream = audio_stream(container, self.path)
            packets = _rebased(container, stream, stream, self.path, time_zero(container))
            return max(((p.pts + (p.duration or 0)) * p.time_base for p in packets), default=Fraction(0))

    def _add_aac_stream(self, out, source):
        context = source.codec_context
        rate = self.sampling_rate or next((r for r in _aac_rates() if r >= context.sample_rate), _aac_rates()[-1])
        channels = self.channels or (context.channels if context.channels in AAC_LAYOUTS else 1)
        bit_rate = channels * min(CHANNEL_BIT_RATE, AAC_BITS_PER_SAMPLE * rate)
        return out.add_stream("aac", rate=rate, layout=AAC_LAYOUTS[channels], bit_rate=bit_rate)

    def _encoded(self, container, source, target, end_s: Fraction, frame_s: Fraction) -> Iterator[av.Packet]:
        rate, layout = target.codec_context.sample_rate, target.codec_context.layout.name
        samples = _sample_count(end_s, frame_s, rate)
        blocks = audio_blocks(container, source, self.path, "fltp", rate)
        position = 0
        for block in _of_length(_of_channels(blocks, target.codec_context.channels), samples):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, position, Fraction(1, rate)
            position += block.shape[1]
            yield from target.encode(frame)
        yield from target.encode(None)


def _codec_name(stream) -> str:
    return stream.codec_context.codec.canonical_name


def _aac_rates() -> list[int]:
    return sorted(av.Codec("aac", "w").audio_rates)


def _cut(packets: Iterable[av.Packet], end_s: Fraction) -> Iterator[av.Packet]:
    """The packets from (almost) zero to the end; the last one is marked as lasting no longer."""
    for packet in packets:
        left = end_s - packet.pts * packet.time_base
        if left <= 0:
            return
        if packet.pts * packet.time_base >= -PREROLL_S:
            packet.duration = min(packet.duration, max(1, int(left / packet.time_base)))
            yield packet


def _sample_count(end_s: Fraction, frame_s: Fraction, rate: int) -> int:
    """How many samples to encode for a video that lasts `end_s`, within a picture's length `frame_s`.

    A simple decoder gives the last AAC frame whole (64 ms at 16 kHz). Where that would be more than a picture too
    long, and leaving that frame out is less than a picture too short, it is left out.
    """
    samples = round(end_s * rate)
    tail = samples % AAC_FRAME
    return samples - tail if tail < frame_s * rate < AAC_FRAME - tail and samples > tail else samples


def _of_channels(blocks: Iterable[np.ndarray], channels: int) -> Iterator[np.ndarray]:
    """Blocks (C, T) with that many channels; where the source has another number, all get the source's plain mean."""
    for block in blocks:
        same = len(block) == channels
        yield block if same else np.repeat(block.mean(axis=0, keepdims=True, dtype=np.float32), channels, axis=0)


def _of_length(blocks: Iterable[np.ndarray], samples: int) -> Iterator[np.ndarray]:
    """Blocks (C, T) with that many samples in all, silence where the source has ended."""
    for block in blocks:
        if samples <= 0:
            return
        yield block[:, :samples]
        samples -= block.shape[1]
    while samples > 0:
        yield np.zeros_like(block[:, :1]).repeat(min(samples, AAC_FRAME), axis=1)
        samples -= AAC_FRAME
