"""Reads the clips of a training set: the list of clips, any of their frames, and their mel spectrograms."""

import wave
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from av.video.reformatter import VideoReformatter

from ..errors import Diff2LipError, MediaError
from ..media.containers import check_no_pipe
from ..media.frame import EXACT_TO_RGB
from ..media.streams import decode_frames, open_input, video_stream
from ..portable.feature_extraction_diff2lip import Diff2LipFeatureExtractor
from ..prepare.set_layout import (
    CLIP_FPS,
    CLIPS_NAME,
    INDEX_NAME,
    SETTINGS_NAME,
    VERSION,
    SetSettings,
    index_from_text,
    speech_path,
    video_path,
)

KEPT_SPECTROGRAMS = 1024
# A clip's speech with more samples than this has a damaged header: clips last seconds, at 16 kHz.
LONGEST_S, HIGHEST_HZ = 3600, 48_000

FrameReader = Callable[[Path, int, int], np.ndarray]


@dataclass(frozen=True)
class Clip:
    """One clip of a training set.

    Attributes:
        folder: the folder `clips` of the set.
        name: of its files, without suffix.
        frames: how many frames it has.
        identity: who speaks.
        fps: frames per second.
    """

    folder: Path
    name: str
    frames: int
    identity: str
    fps: float

    @property
    def video(self) -> Path:
        """The mp4 of face crops."""
        return video_path(self.folder, self.name)

    @property
    def speech(self) -> Path:
        """The wav, mono and 16 bit."""
        return speech_path(self.folder, self.name)


def find_clips(folder: str | Path) -> tuple[list[Clip], int]:
    """The clips of a training set, in the order of its index, and the height and width of their frames.

    Raises:
        MediaError: if the folder is missing, empty, or was not written by `diff2lip prepare`.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise MediaError(folder, "no such folder; make a training set with: diff2lip prepare VIDEOS OUT")
    try:
        for name in (SETTINGS_NAME, INDEX_NAME):
            check_no_pipe(folder / name)
        settings = SetSettings.from_text((folder / SETTINGS_NAME).read_text())
        entries = index_from_text((folder / INDEX_NAME).read_text())
    except FileNotFoundError as error:
        name = Path(error.filename).name
        raise MediaError(folder, f"has no {name}; make a training set with: diff2lip prepare VIDEOS OUT") from error
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise MediaError(folder, f"holds a damaged training set ({error}); run diff2lip prepare again") from error
    if settings.version != VERSION:
        found = f"is a training set of version {settings.version}, expected {VERSION}"
        raise MediaError(folder, f"{found}; run diff2lip prepare again")
    if not entries:
        raise MediaError(folder, "is a training set without clips; prepare other videos, or with weaker filters")
    clips = [Clip(folder / CLIPS_NAME, one.name, one.frames, one.identity, settings.fps) for one in entries]
    return clips, settings.size_px


def is_held_out(identity: str, fraction: float) -> bool:
    """Whether a person is held out for testing. A hash of the name decides, so it is the same in every set and run.

    Args:
        identity: the person's name.
        fraction: of all persons that are held out, in [0, 1].
    """
    return zlib.crc32(identity.encode()) < fraction * 2**32


def read_frames_pyav(path: Path, start: int, count: int) -> np.ndarray:
    """Exactly the frames `start` to `start + count` of a clip, (N, H, W, 3) uint8 RGB; fewer at its end.

    Decoding starts at the last keyframe before them, so frequent keyframes make it fast. Colors are converted as in a
    lip-sync job.
    """
    with open_input(path) as container:
        stream = video_stream(container, path)
        # Passing such small frames to other threads takes longer than decoding them.
        stream.thread_type, stream.codec_context.thread_count = "NONE", 1
        rate, time_base = stream.average_rate or Fraction(CLIP_FPS), stream.time_base or Fraction(1, CLIP_FPS)
        # Half a frame early, so that rounded time stamps do not lose the first frame.
        first = (stream.start_time or 0) + Fraction(2 * start - 1, 2) / rate / time_base
        container.seek(max(int(first), 0), stream=stream)
        wanted = (frame for frame in decode_frames(container, stream, path) if (frame.pts or 0) >= first)
        to_rgb = partial(VideoReformatter().reformat, format="rgb24", interpolation=EXACT_TO_RGB, threads=1)
        frames = []
        for number, frame in enumerate(islice(wanted, count)):
            if (frame.pts or 0) - first > (number + 1) / rate / time_base:  # the decoder leaves out what is damaged
                raise MediaError(path, f"has no frame {start + number}, it is damaged; run diff2lip prepare again")
            frames.append(to_rgb(frame).to_ndarray())
    return np.stack(frames) if frames else np.zeros((0, 0, 0, 3), np.uint8)


def read_frames_decord(path: Path, start: int, count: int) -> np.ndarray:
    """As [`read_frames_pyav`], by decord: exact on clips of `diff2lip prepare`, with FFmpeg's color conversion.

    Raises:
        Diff2LipError: if decord is not installed.
    """
    try:
        import decord  # pyright: ignore[reportMissingImports]  # optional
    except ImportError as error:
        raise Diff2LipError("`reader` is 'decord', which is not installed: pip install decord, or 'pyav'") from error
    reader = decord.VideoReader(str(path), num_threads=1)
    return reader.get_batch(range(start, min(start + count, len(reader)))).asnumpy()


READERS: dict[str, FrameReader] = {"pyav": read_frames_pyav, "decord": read_frames_decord}


def read_clip_frames(clip: Clip, start: int, count: int, reader: str = "pyav") -> torch.Tensor:
    """Consecutive frames of a clip, (N, 3, H, W) uint8.

    Raises:
        MediaError: if the file is missing, damaged, or shorter than the index says.
    """
    frames = READERS[reader](clip.video, start, count)
    if len(frames) < count:
        raise MediaError(
            clip.video, f"ends before frame {start + count - 1} of {clip.frames}; run diff2lip prepare again"
        )
    return torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous()


@lru_cache(maxsize=KEPT_SPECTROGRAMS)
def clip_spectrogram(clip: Clip, extractor: Diff2LipFeatureExtractor) -> torch.Tensor:
    """The mel spectrogram (80, M) of a clip's speech, float32 in [-4, 4].

    Raises:
        MediaError: if the speech is missing or damaged.
    """
    samples, sampling_rate = _read_wav(clip.speech)
    return extractor.mel_spectrogram(samples, sampling_rate)


def _read_wav(path: Path) -> tuple[np.ndarray, int]:
    try:
        check_no_pipe(path)
        with wave.open(str(path), "rb") as file:
            if file.getnframes() > LONGEST_S * min(file.getframerate(), HIGHEST_HZ):
                raise MediaError(path, f"is longer than {LONGEST_S} s; run diff2lip prepare again")
            if (file.getnchannels(), file.getsampwidth()) != (1, 2):
                raise MediaError(path, "is not mono with 16 bit; run diff2lip prepare again")
            samples = np.frombuffer(bytearray(file.readframes(file.getnframes())), "<i2")
            sampling_rate = file.getframerate()
            if len(samples) < file.getnframes():
                raise MediaError(path, "was cut short; run diff2lip prepare again")
    except (OSError, EOFError, ValueError, RuntimeError, wave.Error) as error:  # RuntimeError: of a chunk's end
        reason = getattr(error, "strerror", None) or str(error) or "damaged"
        raise MediaError(path, f"cannot be read as a clip's speech ({reason}); run diff2lip prepare again") from error
    if not len(samples):
        raise MediaError(path, "is empty; run diff2lip prepare again")
    return samples, sampling_rate


def check_not_empty(clips: list[Clip], of: str, cure: str) -> None:
    """Raises Diff2LipError if there are no clips to train on."""
    if not clips:
        raise Diff2LipError(f"no clips {of}; {cure}")
