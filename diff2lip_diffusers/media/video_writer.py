"""Video files out: pictures and a soundtrack into mp4, mov or mkv, all or nothing.

Pictures are encoded as they come into a hidden folder beside the target. When the last one is there and the length is
known, pictures and sound are interleaved packet by packet into the finished file, which then takes the target's place.
"""

import heapq
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from ..errors import MediaError
from ..output_paths import check_output_path, hidden_folder_beside, writing
from .audio_track import AudioTrack
from .frame import Frame
from .reader import VideoInfo
from .streams import open_input, rebased_packets, video_stream
from .video_encoder import VideoEncoder

# Container and the sound codecs that may be copied into it: what players of that container know.
MP4_AUDIO_CODECS = {"aac", "mp3", "ac3", "eac3", "alac"}
CONTAINERS = {
    ".mp4": ("mp4", MP4_AUDIO_CODECS | {"opus"}),
    ".m4v": ("mp4", MP4_AUDIO_CODECS | {"opus"}),
    ".mov": ("mov", MP4_AUDIO_CODECS),
    ".mkv": ("matroska", MP4_AUDIO_CODECS | {"opus", "flac", "vorbis"}),
}


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
        crf: 0 to 51, lower is better and larger; by default what the eye cannot tell from the source.
        lossless: whether to keep every pixel to the bit.
        metadata: container tags, such as title and comment.

    Raises:
        ValueError: a size, rate, number of channels or crf that cannot be.
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
        crf: int | None = None,
        lossless: bool = False,
        metadata: dict[str, str] | None = None,
    ):
        check_output_path(path, audio)
        self.path = Path(path)
        self._soundtrack = None if audio is None else AudioTrack(audio, audio_sampling_rate, audio_channels)
        self._metadata = dict(metadata or {})
        self._pictures = VideoEncoder(
            self.path,
            width=width,
            height=height,
            fps=fps,
            info=info,
            codec=codec,
            crf=crf,
            lossless=lossless,
        )

    def __enter__(self) -> "VideoWriter":
        with ExitStack() as stack, writing(self.path):
            self._folder = Path(stack.enter_context(hidden_folder_beside(self.path)))
            self._unmixed = self._folder / f"pictures{self._pictures.suffix}"
            self._pictures.open(self._unmixed)
            self._cleanup = stack.pop_all()
        return self

    def write(self, picture: Frame | np.ndarray) -> None:
        """Appends a picture, or an array uint8 RGB (H, W, 3).

        Raises:
            ValueError: it has another type or shape.
            MediaError: it cannot be written, e.g. the disk is full.
        """
        self._pictures.write(picture)

    def __exit__(self, error_type, error, traceback) -> None:
        with self._cleanup:
            self._pictures.close(complete=error_type is None)
            if error_type is not None:
                return
            if not self._pictures.frame_count:
                raise MediaError(self.path, "not written: there is no frame; check the inputs' lengths")
            part = self._unmixed, self._pictures.frame_count
            join_parts([part], self.path, self._folder, self._pictures, self._soundtrack, self._metadata)


def join_parts(
    parts: Sequence[tuple[Path, int]],
    target: Path,
    folder: Path,
    pictures: VideoEncoder,
    soundtrack: AudioTrack | None,
    metadata: dict[str, str],
) -> None:
    """Interleaves pictures, one part after another, and sound into a finished file, and puts it in the target's place.

    Args:
        parts: files of pictures, each with the number of its frames, encoded alike.
        target: the file to write.
        folder: for what is not complete, on the target's file system.
        pictures: says how they are encoded.
        soundtrack: the sound; None for none.
        metadata: container tags.

    Raises:
        MediaError: a part or the sound cannot be read, or the disk is full.
    """
    finished = folder / f"finished{target.suffix}"
    container_name, copied_codecs = CONTAINERS[target.suffix.lower()]
    options = {"movflags": "+faststart"} if container_name != "matroska" else {}
    with writing(target), ExitStack() as stack:
        out = stack.enter_context(av.open(f"file:{finished}", "w", format=container_name, options=options))
        out.metadata.update(metadata)
        packets = [_video_packets(parts, out, target, pictures)]
        if soundtrack:
            end_s = sum(count for _, count in parts) / pictures.fps
            packets.append(stack.enter_context(soundtrack.packets(out, copied_codecs, end_s, 1 / pictures.fps)))
        for packet in heapq.merge(*packets, key=lambda packet: packet.dts * packet.time_base):
            out.mux(packet)
    with writing(target):
        finished.replace(target)


def _video_packets(
    parts: Sequence[tuple[Path, int]], out, target: Path, pictures: VideoEncoder
) -> Iterator[av.Packet]:
    """The packets of all parts, each part's in the time after the one before."""
    with open_input(parts[0][0]) as source:
        stream = out.add_stream_from_template(video_stream(source, target), opaque=True)
        if pictures.tag:
            stream.codec_context.codec_tag = pictures.tag
    return _packets_of(parts, stream, target, pictures.fps)


def _packets_of(parts: Sequence[tuple[Path, int]], stream, target: Path, fps: Fraction) -> Iterator[av.Packet]:
    start = 0
    for path, count in parts:
        with open_input(path) as source:
            yield from rebased_packets(source, video_stream(source, target), stream, target, -start / fps)
        start += count
