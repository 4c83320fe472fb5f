"""Writes video files: frames and audio into mp4, mov or mkv, all or nothing.

Frames are encoded as they come, into a hidden folder beside the target. After the last one the length is known: then
video and audio packets are interleaved into the finished file, which replaces the target.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer

from ..errors import MediaError
from ..output_paths import hidden_folder_beside, writing
from .audio_mix import AudioMix
from .audio_track import AudioTrack
from .containers import LARGEST_PIXELS, open_input
from .frame import Frame
from .reader import VideoInfo
from .streams import rebased_packets, video_stream
from .video_encoder import VideoEncoder

# Containers and the audio codecs that may be copied into them: those that players of the container know.
MP4_AUDIO_CODECS = {"aac", "mp3", "ac3", "eac3", "alac"}
CONTAINERS = {
    ".mp4": ("mp4", MP4_AUDIO_CODECS | {"opus"}),
    ".m4v": ("mp4", MP4_AUDIO_CODECS | {"opus"}),
    ".mov": ("mov", MP4_AUDIO_CODECS),
    ".mkv": ("matroska", MP4_AUDIO_CODECS | {"opus", "flac", "vorbis"}),
}


class VideoWriter:
    """Writes a video of constant rate and, optionally, an audio track of the same length.

    A context manager: the complete target appears when the block ends. If the block raises, the target stays as it
    was. With `info` the source's color tags (also missing ones) and matrix are kept, so that players show the output
    like the source. Without it, the tags are BT.709 from 720 rows on and BT.601 below.

    H.264 is written in 8 bits with 4:2:0 chroma, so that every player shows it. HEVC and ProRes keep 10 bits, lossless
    codecs keep the source's format. Where chroma is subsampled, the last column or row of odd sizes is repeated.

    Audio packets are copied where the container supports the codec and they last to the end. Otherwise the audio
    becomes AAC with the source's sampling rate (the next one AAC has) and channels, cut or padded with silence to the
    end of the last frame.

    Args:
        path: the target, `.mp4`, `.m4v`, `.mov` or `.mkv`; see `check_output_path`.
        width: of the frames, in pixels.
        height: of the frames, in pixels.
        fps: frames per second.
        info: the source, for its color tags, pixel format and pixel aspect.
        audio: file with the audio, whose time zero is the start of the first frame; or a track or mix.
        audio_sampling_rate: of a file: rate in Hz to resample to; then the audio is always encoded.
        audio_channels: of a file: number of channels to convert to, 1 for the mean of all; likewise.
        codec: a key of `CODECS`; H.264 by default, HEVC for HDR.
        crf: 0 to 51, lower is better and larger; by default the result looks like the source.
        lossless: whether to keep every pixel bit-exact.
        metadata: container tags, such as title and comment.
        seal: called with the complete file before it replaces the target; it may change the file.

    Raises:
        ValueError: impossible size, rate, number of channels or settings.
        MediaError: the codec is not available, the target cannot contain it, or the audio cannot be read; on entering,
            writing or leaving, if the target cannot be written, e.g. the disk is full.
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
        audio: str | Path | AudioTrack | AudioMix | None = None,
        audio_sampling_rate: int | None = None,
        audio_channels: int | None = None,
        codec: str | None = None,
        crf: int | None = None,
        lossless: bool = False,
        metadata: dict[str, str] | None = None,
        seal: Callable[[Path], None] | None = None,
    ):
        self.path = Path(path)
        is_file = isinstance(audio, (str, Path))
        self._audio = AudioTrack(audio, audio_sampling_rate, audio_channels) if is_file else audio
        self._metadata, self._seal = dict(metadata or {}), seal
        self._encoder = VideoEncoder(
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
            self._encoded = self._folder / f"video{self._encoder.suffix}"
            self._encoder.open(self._encoded)
            self._cleanup = stack.pop_all()
        return self

    def write(self, frame: Frame | np.ndarray) -> None:
        """Appends a frame, or an array uint8 RGB (H, W, 3).

        Raises:
            ValueError: it has another type or shape.
            MediaError: it cannot be written, e.g. the disk is full.
        """
        self._encoder.write(frame)

    def __exit__(self, error_type, error, traceback) -> None:
        with self._cleanup:
            self._encoder.close(complete=error_type is None)
            if error_type is not None:
                return
            if not self._encoder.frame_count:
                raise MediaError(self.path, "not written: there is no frame; check the inputs' lengths")
            part = self._encoded, self._encoder.frame_count
            join_parts([part], self.path, self._folder, self._encoder, self._audio, self._metadata, self._seal)


def join_parts(
    parts: Sequence[tuple[Path, int]],
    target: Path,
    folder: Path,
    encoder: VideoEncoder,
    audio: AudioTrack | AudioMix | None,
    metadata: dict[str, str],
    seal: Callable[[Path], None] | None = None,
) -> None:
    """Muxes encoded video, one part after another, with audio into a finished file, which replaces the target.

    Args:
        parts: encoded files, each with its number of frames, all with the same settings.
        target: the file to write.
        folder: for the unfinished file, on the target's file system.
        encoder: how the parts were encoded.
        audio: the audio track or mix; None for none.
        metadata: container tags.
        seal: called with the complete file before it replaces the target.

    Raises:
        MediaError: a part or the audio cannot be read, or the disk is full.
    """
    finished = folder / f"finished{target.suffix}"
    container_name, copied_codecs = CONTAINERS[target.suffix.lower()]
    options = {"movflags": "+faststart"} if container_name != "matroska" else {}
    with writing(target), ExitStack() as stack:
        out = stack.enter_context(av.open(f"file:{finished}", "w", format=container_name, options=options))
        out.metadata.update(metadata)
        packets = [_video_packets(parts, out, target, encoder)]
        if audio:
            end_s = sum(count for _, count in parts) / encoder.fps
            packets.append(stack.enter_context(audio.packets(out, copied_codecs, end_s, 1 / encoder.fps)))
        for packet in heapq.merge(*packets, key=_decoding_time_s):
            out.mux(packet)
    with writing(target):
        if seal is not None:
            seal(finished)
        finished.replace(target)


def _decoding_time_s(packet: av.Packet) -> Fraction:
    return (packet.dts or 0) * packet.time_base


def _video_packets(
    parts: Sequence[tuple[Path, int]], out: OutputContainer, target: Path, encoder: VideoEncoder
) -> Iterator[av.Packet]:
    """Returns an iterator over the packets of all parts, each part in the time after the one before."""
    with open_input(parts[0][0]) as source:
        stream = out.add_stream_from_template(video_stream(source, target, LARGEST_PIXELS), opaque=True)
        if encoder.tag:
            stream.codec_context.codec_tag = encoder.tag
    return _packets_of(parts, stream, target, encoder.fps)


def _packets_of(
    parts: Sequence[tuple[Path, int]], stream: av.VideoStream, target: Path, fps: Fraction
) -> Iterator[av.Packet]:
    start = 0
    for path, count in parts:
        with open_input(path) as source:
            yield from rebased_packets(
                source, video_stream(source, target, LARGEST_PIXELS), stream, target, -start / fps
            )
        start += count
