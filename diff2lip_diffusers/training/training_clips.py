"""The clips of a prepared training set: which there are, any of their frames, and the mel spectrogram of each."""

import json
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
from ..feature_extraction_diff2lip import Diff2LipFeatureExtractor
from ..media.frame import EXACT_TO_RGB
from ..media.streams import decode_frames, open_input, video_stream

SETTINGS_NAME, INDEX_NAME, CLIPS_NAME = "settings.json", "index.jsonl", "clips"
SET_VERSION = 1
KEPT_SPECTROGRAMS = 1024

FrameReader = Callable[[Path, int, int], np.ndarray]


@dataclass(frozen=True)
class Clip:
    """One clip of a training set.

    Attributes:
        folder: the `clips` folder that it lies in.
        name: of its files, without suffix.
        frames: how many pictures it has.
        identity: who speaks.
        fps: pictures a second.
    """

    folder: Path
    name: str
    frames: int
    identity: str
    fps: float

    @property
    def pictures(self) -> Path:
        """The mp4 of face crops."""
        return self.folder / f"{self.name}.mp4"

    @property
    def sound(self) -> Path:
        """The wav, mono and 16 bit."""
        return self.folder / f"{self.name}.wav"


def find_clips(folder: str | Path) -> tuple[list[Clip], int]:
    """The clips of a prepared folder, in the order of its index, and the height and width of their pictures.

    Raises:
        MediaError: if the folder is missing, empty, or was not written by `diff2lip prepare`.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise MediaError(folder, "no such folder; make a training set with: diff2lip prepare VIDEOS OUT")
    try:
        settings = json.loads((folder / SETTINGS_NAME).read_text())
        entries = [json.loads(line) for line in (folder / INDEX_NAME).read_text().splitlines() if line.strip()]
        version, size_px, fps = settings["version"], int(settings["size_px"]), settings["fps"]
        clips = [Clip(folder / CLIPS_NAME, one["name"], int(one["frames"]), one["identity"], fps) for one in entries]
    except FileNotFoundError as error:
        name = Path(error.filename).name
        raise MediaError(folder, f"has no {name}; make a training set with: diff2lip prepare VIDEOS OUT") from error
    except (ValueError, KeyError, TypeError) as error:
        raise MediaError(folder, f"holds a damaged training set ({error}); run diff2lip prepare again") from error
    if version != SET_VERSION:
        raise MediaError(folder, f"is a training set of version {version}, expected {SET_VERSION}; prepare it again")
    if not clips:
        raise MediaError(folder, "is a training set without clips; prepare other videos, or with weaker filters")
    return clips, size_px


def is_held_out(identity: str, fraction: float) -> bool:
    """Whether an identity is kept for testing: decided by a hash of its name, the same in every set and run.

    Args:
        identity: its name.
        fraction: of all identities that are held out, in [0, 1].
    """
    return zlib.crc32(identity.encode()) < fraction * 2**32


def read_frames_pyav(path: Path, start: int, count: int) -> np.ndarray:
    """Frames `start` to `start + count` of a clip, exactly, as (N, H, W, 3) uint8 RGB, fewer behind its end.

    Decoding begins at the last key frame before them, so short groups of pictures make it fast. Colours are those that
    the program gives to the model when it syncs a video.
    """
    with open_input(path) as container:
        stream = video_stream(container, path)
        # Handing such small pictures to other threads takes longer than decoding them.
        stream.thread_type, stream.codec_context.thread_count = "NONE", 1
        rate, origin = Fraction(stream.average_rate), stream.start_time or 0
        # Half a frame early, so that no rounding of time stamps loses the first one.
        first = origin + Fraction(2 * start - 1, 2) / rate / stream.time_base
        container.seek(max(int(first), 0), stream=stream)
        shown = (frame for frame in decode_frames(container, stream, path) if frame.pts >= first)
        to_rgb = partial(VideoReformatter().reformat, format="rgb24", interpolation=EXACT_TO_RGB, threads=1)
        pictures = [to_rgb(frame).to_ndarray() for frame in islice(shown, count)]
    return np.stack(pictures) if pictures else np.zeros((0, 0, 0, 3), np.uint8)


def read_frames_decord(path: Path, start: int, count: int) -> np.ndarray:
    """As [`read_frames_pyav`], by decord: exact on the clips that `diff2lip prepare` writes, colours by FFmpeg.

    Raises:
        Diff2LipError: if decord is not installed.
    """
    try:
        import decord  # pyright: ignore[reportMissingImports]  (optional)
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
    frames = READERS[reader](clip.pictures, start, count)
    if len(frames) < count:
        raise MediaError(
            clip.pictures, f"ends before frame {start + count - 1} of {clip.frames}; run diff2lip prepare again"
        )
    return torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous()


@lru_cache(maxsize=KEPT_SPECTROGRAMS)
def clip_spectrogram(clip: Clip, extractor: Diff2LipFeatureExtractor) -> torch.Tensor:
    """The mel spectrogram (80, M) of a clip's sound, float32 in [-4, 4].

    Raises:
        MediaError: if the sound is missing or damaged.
    """
    samples, sampling_rate = _read_wav(clip.sound)
    return extractor.mel_spectrogram(samples, sampling_rate)


def _read_wav(path: Path) -> tuple[np.ndarray, int]:
    try:
        with wave.open(str(path), "rb") as file:
            if (file.getnchannels(), file.getsampwidth()) != (1, 2):
                raise MediaError(path, "is not mono of 16 bit; run diff2lip prepare again")
            samples = np.frombuffer(bytearray(file.readframes(file.getnframes())), "<i2")
            sampling_rate = file.getframerate()
    except (OSError, EOFError, wave.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise MediaError(path, f"cannot be read as a clip's sound ({reason}); run diff2lip prepare again") from error
    if not len(samples):
        raise MediaError(path, "holds no sound; run diff2lip prepare again")
    return samples, sampling_rate


def check_not_empty(clips: list[Clip], of: str, cure: str) -> None:
    """Raises Diff2LipError where nothing is left to train on."""
    if not clips:
        raise Diff2LipError(f"no clips {of}; {cure}")
