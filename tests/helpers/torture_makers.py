"""Makes odd and damaged media files, with PyAV and byte by byte.

Every frame shows its number as bright and dark blocks and four colors. So an output frame tells which source frame it
was, whether it is upright and whether its colors are right. Audio is silent at first and then a tone, so that its
position can be measured. The package is not used.
"""

import os
import shutil
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition
from PIL import Image

from helpers.numbered_clips import bit_row, from_bits, to_bits

SIZE, COUNT = (128, 96), 12
ONSET_S, SPEECH_S = 0.2, 0.48
COLORS = np.array([(200, 60, 60), (60, 180, 60), (60, 60, 200), (190, 190, 60)], np.uint8)
BITS = 6
Maker = Callable[[Path], None]

os.environ.setdefault("SVT_LOG", "1")  # its AV1 encoder prints a greeting otherwise


# Frames


def numbered_frame(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Returns (H, W, 3): on top bright, dark and the bits of the number, lowest first; colors below; then gray."""
    width, height = size
    rgb = np.full((height, width, 3), 128, np.uint8)
    rgb[: height // 4] = bit_row([1, 0, *to_bits(number, BITS)], width)
    rgb[height // 4 : height // 2] = COLORS[np.arange(width) * len(COLORS) // width]
    return rgb


def blocks(rgb: np.ndarray, row: float, count: int) -> np.ndarray:
    """Returns (count, 3): the mean colors of `count` blocks side by side, at `row` of the height."""
    height, width = rgb.shape[:2]
    rows = rgb[round((row - 0.06) * height) : round((row + 0.06) * height)]
    columns = [round((index + 0.5) * width / count) for index in range(count)]
    return np.array([rows[:, column - 2 : column + 2].mean(axis=(0, 1)) for column in columns])


def frame_number(rgb: np.ndarray) -> int | None:
    """Returns the number of an upright frame; None for any other image."""
    bright, dark, *bits = blocks(rgb, 1 / 8, BITS + 2).mean(axis=1) > 127
    return from_bits(bits) if bright and not dark else None


def color_error(rgb: np.ndarray) -> float:
    """Returns the largest difference in any channel of black, white and the four colors, in levels."""
    ends = blocks(rgb, 1 / 8, BITS + 2)[:2] - [[255] * 3, [0] * 3]
    return float(max(np.abs(ends).max(), np.abs(blocks(rgb, 3 / 8, len(COLORS)) - COLORS).max()))


def face_box(size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Returns where to paint: in the gray, outside the blocks."""
    width, height = size
    return width * 3 // 8, height * 5 // 8, width * 5 // 8, height


# Media files


@dataclass(frozen=True)
class VideoStream:
    """A video stream; `times` are in `time_base`, one after another at the rate by default."""

    fps: Fraction | int = 25
    numbers: Sequence[int] = range(COUNT)
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    size: tuple[int, int] = SIZE
    times: Sequence[int] | None = None
    time_base: Fraction | None = None
    coder: dict[str, str] = field(default_factory=dict)
    rotation: int = 0
    mirrored: bool = False
    tags: tuple[int, int, int, int] | None = None
    aspect: Fraction | None = None
    tag: str | None = None

    def add_to(self, out):
        width, height = self.size[::-1] if self.rotation % 180 else self.size
        options = ({"crf": "8", "preset": "veryfast"} if self.codec == "libx264" else {}) | self.coder
        stream = out.add_stream(
            self.codec, rate=self.fps, options=options, width=width, height=height, pix_fmt=self.pix_fmt
        )
        context = stream.codec_context
        context.time_base = self.time_base or 1 / Fraction(self.fps)
        context.thread_count = 1
        if self.codec in ("mpeg4", "mpeg2video", "flv", "h263", "wmv2", "vp8", "libvpx", "libvpx-vp9", "mjpeg"):
            context.bit_rate = 4_000_000
        if self.aspect is not None:
            context.sample_aspect_ratio = self.aspect
        if self.tags is not None:
            context.colorspace, context.color_range, context.color_primaries, context.color_trc = self.tags
        if self.rotation or self.mirrored:
            stream.set_display_rotation(self.rotation, hflip=self.mirrored)
        if self.tag is not None:
            context.codec_tag = self.tag
        return stream

    def frames(self):
        """Yields the frames in the encoder's format, rotated so that a player turns them upright."""
        matrix, full = (self.tags[0], self.tags[1]) if self.tags else (None, None)
        for index, number in enumerate(self.numbers):
            rgb = np.rot90(numbered_frame(number, self.size)[:, :: -1 if self.mirrored else 1], -self.rotation // 90)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
            if self.pix_fmt == "pal8":
                frame = as_palette(rgb)
            elif self.pix_fmt != "rgb24":
                frame = frame.reformat(format=self.pix_fmt, dst_colorspace=matrix, dst_color_range=full)
            frame.time_base = self.time_base or 1 / Fraction(self.fps)
            frame.pts, frame.duration = self._time(index), self._time(index + 1) - self._time(index)
            yield frame

    def _time(self, index: int) -> int:
        """Returns when a frame starts; the last one lasts 1/fps."""
        times = self.times or range(len(self.numbers))
        if index < len(times):
            return times[index]
        return times[-1] + round(1 / (Fraction(self.fps) * (self.time_base or 1 / Fraction(self.fps))))


def as_palette(rgb: np.ndarray) -> av.VideoFrame:
    colors, indices = np.unique(rgb.reshape(-1, 3), axis=0, return_inverse=True)
    palette = np.zeros((256, 4), np.uint8)
    palette[: len(colors)] = np.insert(colors, 0, 255, axis=1)
    return av.VideoFrame.from_ndarray((indices.reshape(rgb.shape[:2]).astype(np.uint8), palette), format="pal8")


@dataclass(frozen=True)
class AudioStream:
    """An audio stream: silence up to `onset_s`, then a tone; the stream itself starts at `start_s`."""

    codec: str = "aac"
    rate: int = 44100
    layout: str = "stereo"
    seconds: float = SPEECH_S
    onset_s: float = ONSET_S
    start_s: float = 0
    hole_s: tuple[float, float] = (0, 0)

    def add_to(self, out):
        options = {"strict": "experimental"} if self.codec == "vorbis" else {}
        stream = out.add_stream(self.codec, rate=self.rate, layout=self.layout, options=options)
        if self.codec == "wmav2":
            stream.codec_context.bit_rate = 128_000  # its encoder has no default
        return stream

    def frames(self, context):
        if not self.seconds:
            return
        channels = len(av.AudioLayout(self.layout).channels)
        samples = np.repeat(tone(self.seconds, self.rate, self.onset_s), channels)[None]
        whole = av.AudioFrame.from_ndarray(samples, format="s16", layout=self.layout)
        whole.sample_rate, whole.pts, whole.time_base = self.rate, 0, Fraction(1, self.rate)
        resampler = av.AudioResampler(
            format=context.format, layout=self.layout, rate=self.rate, frame_size=context.frame_size or 1024
        )
        for frame in [*resampler.resample(whole), *resampler.resample(None)]:
            if not self.hole_s[0] <= frame.time < self.hole_s[1]:
                frame.pts += round(self.start_s * self.rate)
                yield frame


def tone(seconds: float, rate: int, onset_s: float = ONSET_S) -> np.ndarray:
    time_s = np.arange(round(seconds * rate)) / rate
    return np.where(time_s < onset_s, 0, 16000 * np.sin(2 * np.pi * 440 * time_s)).astype(np.int16)


def media(
    *streams: VideoStream | AudioStream,
    container: str | None = None,
    cover_first: bool = False,
    timecode: str | None = None,
    **options,
) -> Maker:
    """Returns a maker of a file with these streams, in this order; `cover_first` puts cover art in front."""

    def make(path: Path) -> None:
        with av.open(f"file:{path}", "w", format=container, options=options) as out:
            if timecode is not None:
                out.metadata["timecode"] = timecode
            cover = add_cover(out) if cover_first else []
            added = [stream.add_to(out) for stream in streams]
            out.start_encoding()
            out.mux(cover)
            for stream, target in zip(streams, added, strict=True):
                frames = stream.frames() if isinstance(stream, VideoStream) else stream.frames(target.codec_context)
                for frame in frames:
                    out.mux(target.encode(frame))
                out.mux(target.encode(None))

    return make


def add_cover(out) -> list[av.Packet]:
    """Adds cover art as the container stores it: as an attachment, or as a stream with one packet."""
    cover = png_of(numbered_frame(63, (64, 64)), "rgb24")
    if out.format.name == "matroska":
        out.add_attachment("cover.png", "image/png", cover)
        return []
    stream = out.add_stream("png", rate=1, width=64, height=64, pix_fmt="rgb24")
    stream.disposition = Disposition.attached_pic
    packet = av.Packet(cover)
    packet.stream, packet.pts, packet.dts, packet.is_keyframe = stream, 0, 0, True
    return [packet]


def png_of(rgb: np.ndarray, pix_fmt: str) -> bytes:
    context = av.CodecContext.create("png", "w")
    context.height, context.width = rgb.shape[:2]
    context.pix_fmt, context.time_base = pix_fmt, Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pix_fmt)
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


# Files changed byte by byte, and files that are no media files


def packets_of(path: Path) -> list[tuple[int, int]]:
    """Returns position and size in the file of each video packet, in order."""
    with av.open(f"file:{path}") as container:
        return sorted((packet.pos, packet.size) for packet in container.demux(video=0) if packet.size)


def changed(make: Maker, change: Callable[[Path], bytes]) -> Maker:
    def make_and_change(path: Path) -> None:
        make(path)
        path.write_bytes(change(path))

    return make_and_change


def cut_in_packet(number: int) -> Callable[[Path], bytes]:
    def change(path: Path) -> bytes:
        start, size = packets_of(path)[number]
        return path.read_bytes()[: start + size // 2]

    return change


def overwrite_packets(*numbers: int) -> Callable[[Path], bytes]:
    """Writes noise from the seventh byte of each of these packets on; the container stays valid."""

    def change(path: Path) -> bytes:
        data = bytearray(path.read_bytes())
        for start, size in (packets_of(path)[number] for number in numbers):
            data[start + 6 : start + size] = np.random.default_rng(0).bytes(size - 6)
        return bytes(data)

    return change


def overwrite_middle(share: float) -> Callable[[Path], bytes]:
    """Writes zeros in the middle of the file, also over its structure."""

    def change(path: Path) -> bytes:
        data = bytearray(path.read_bytes())
        size = round(len(data) * share)
        start = (len(data) - size) // 2
        data[start : start + size] = bytes(size)
        return bytes(data)

    return change


def overwrite_cluster_of(number: int) -> Callable[[Path], bytes]:
    """Writes zeros from the head of a packet's cluster to the end of the packet; readers must resynchronize."""

    def change(path: Path) -> bytes:
        data = bytearray(path.read_bytes())
        start, size = packets_of(path)[number]
        head = data.rindex(b"\x1f\x43\xb6\x75", 0, start)
        data[head : start + size] = bytes(start + size - head)
        return bytes(data)

    return change


def keep_share(share: float) -> Callable[[Path], bytes]:
    return lambda path: path.read_bytes()[: round(path.stat().st_size * share)]


def from_packet(number: int) -> Callable[[Path], bytes]:
    """Cuts a transport stream to what is received from that frame on."""

    def change(path: Path) -> bytes:
        start = packets_of(path)[number][0]
        return path.read_bytes()[start // 188 * 188 :]

    return change


def without_packets(first: int, behind: int) -> Callable[[Path], bytes]:
    """Removes video and audio of a transport stream from one frame to another, as lost reception does."""

    def change(path: Path) -> bytes:
        data, positions = path.read_bytes(), [start // 188 * 188 for start, _ in packets_of(path)]
        return data[: positions[first]] + data[positions[behind] :]

    return change


def zeros_from_packet(number: int) -> Callable[[Path], bytes]:
    """Replaces the rest with zeros, as a stopped download manager that allocated the whole file."""

    def change(path: Path) -> bytes:
        data, start = path.read_bytes(), packets_of(path)[number][0]
        return data[:start] + bytes(len(data) - start)

    return change


def without_codec_of_last_audio(path: Path) -> bytes:
    """Makes the last track of a QuickTime file unknown to decoders, like iPhones' spatial audio."""
    data = path.read_bytes()
    entry = data.rindex(b"mp4a", 0, data.rindex(b"esds") - 20)
    return data[:entry] + data[entry:].replace(b"mp4a", b"apac").replace(b"esds", b"dapa")


def without_codec_of_video(path: Path) -> bytes:
    return path.read_bytes().replace(b"avc1", b"xvc1").replace(b"avcC", b"xvcC")


def start_at(frames: int, fps: int = 25) -> Callable[[Path], bytes]:
    """Hides the first frames of an mp4 with its edit list, as phones trim clips."""

    def change(path: Path) -> bytes:
        data = bytearray(path.read_bytes())
        entry = data.index(b"elst") + 12
        shown_ms, first_tick = struct.unpack_from(">Ii", data, entry)
        ticks_a_frame = struct.unpack_from(">I", data, data.index(b"mdhd") + 16)[0] // fps
        struct.pack_into(">Ii", data, entry, shown_ms - frames * 1000 // fps, first_tick + frames * ticks_a_frame)
        return bytes(data)

    return change


def without_stated_rate(path: Path) -> bytes:
    """Voids the element DefaultDuration of a Matroska file."""
    return path.read_bytes().replace(b"\x23\xe3\x83\x84", b"\xec\x86\x00\x00", 1)


def wav_length(stated: int) -> Callable[[Path], bytes]:
    """Makes the header of a WAV state this many bytes, as programs that write into a pipe do."""

    def change(path: Path) -> bytes:
        data = bytearray(path.read_bytes())
        struct.pack_into("<I", data, 4, stated)
        struct.pack_into("<I", data, data.index(b"data") + 4, stated)
        return bytes(data)

    return change


def joined(*makers: Maker) -> Maker:
    """Returns a maker of files concatenated as by `cat a b > c`."""

    def make(path: Path) -> None:
        parts = []
        for maker in makers:
            maker(path)
            parts.append(path.read_bytes())
        path.write_bytes(b"".join(parts))

    return make


def yuv4mpeg(path: Path) -> None:
    """Writes uncompressed frames at 30 frames/s, with a line of text before each."""
    frames = (av.VideoFrame.from_ndarray(numbered_frame(number), format="rgb24") for number in range(COUNT))
    planes = (frame.reformat(format="yuv420p").to_ndarray().tobytes() for frame in frames)
    path.write_bytes(b"YUV4MPEG2 W128 H96 F30:1 Ip A1:1 C420jpeg\n" + b"".join(b"FRAME\n" + plane for plane in planes))


def subtitled(make: Maker) -> Maker:
    """Returns a maker of the file with a subtitle stream after its own."""

    def make_and_add(path: Path) -> None:
        bare, text = path.with_name(f"bare{path.suffix}"), path.with_name("text.srt")
        make(bare)
        text.write_text("1\n00:00:00,000 --> 00:00:00,400\nHello\n")
        with av.open(f"file:{bare}") as source, av.open(f"file:{text}") as lines, av.open(f"file:{path}", "w") as out:
            targets = {stream: out.add_stream_from_template(stream) for stream in (*source.streams, *lines.streams)}
            for packet in (*source.demux(), *lines.demux()):
                if packet.size:
                    packet.stream = targets[packet.stream]
                    out.mux(packet)
        bare.unlink()
        text.unlink()

    return make_and_add


def bytes_of(content: bytes) -> Maker:
    return lambda path: path.write_bytes(content)


def copy_of(name: str) -> Maker:
    return lambda path: shutil.copyfile(path.parent / name, path)


def with_suffix(suffix: str, make: Maker) -> Maker:
    """Returns a maker of a file with the content of `suffix` and another suffix in its name."""

    def make_and_rename(path: Path) -> None:
        true = path.with_name(f"true{suffix}")
        make(true)
        true.rename(path)

    return make_and_rename


def named_pipe(path: Path) -> None:
    os.mkfifo(path)


def dangling_link(path: Path) -> None:
    path.symlink_to("nowhere.mp4")


# Stills and folders of stills

# How a frame is stored that the Exif orientation turns upright.
AS_STORED = {
    1: lambda rgb: rgb,
    2: np.fliplr,
    3: lambda rgb: np.rot90(rgb, 2),
    4: np.flipud,
    5: lambda rgb: rgb.transpose(1, 0, 2),
    6: np.rot90,
    7: lambda rgb: np.rot90(rgb, 2).transpose(1, 0, 2),
    8: lambda rgb: np.rot90(rgb, 3),
}


def still(number: int = 5, mode: str = "RGB", size: tuple[int, int] = SIZE, turned: int = 1, **options) -> Maker:
    """Returns a maker of an image file; `turned` is its Exif orientation, 1 to 8."""

    def make(path: Path) -> None:
        image = Image.fromarray(np.ascontiguousarray(AS_STORED[turned](numbered_frame(number, size))))
        if "A" in mode:
            image.putalpha(Image.fromarray(opacity(size)))
        exif = Image.Exif()
        exif[0x0112] = turned
        image.convert(mode).save(path, **options | ({"exif": exif} if turned > 1 else {}))

    return make


def opacity(size: tuple[int, int]) -> np.ndarray:
    """Returns (H, W): transparent over the blocks and colors, which must still be visible in the output."""
    width, height = size
    return np.repeat(np.where(np.arange(height) < height // 2, 0, 255)[:, None], width, axis=1).astype(np.uint8)


def deep_png(path: Path) -> None:
    """Writes 16 bits per channel, which Pillow cannot."""
    path.write_bytes(png_of(numbered_frame(5), "rgb48be"))


def several_in_one(numbers: Sequence[int], **options) -> Maker:
    """Returns a maker of an image file with several frames."""

    def make(path: Path) -> None:
        first, *others = (Image.fromarray(numbered_frame(number)) for number in numbers)
        first.save(path, save_all=True, append_images=others, **options)

    return make


def folder(frames: dict[str, Maker]) -> Maker:
    def make(path: Path) -> None:
        path.mkdir()
        for name, maker in frames.items():
            maker(path / name)

    return make


def numbered(numbers: Sequence[int], pattern: str = "frame_{}.png", first: int = 1, **options) -> dict[str, Maker]:
    """Returns makers of images named from `first` on, each showing one of the numbers."""
    return {pattern.format(first + index): still(number, **options) for index, number in enumerate(numbers)}
