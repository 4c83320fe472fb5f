"""What a person gives a job: checked, and kept in the folder of the job under plain names."""

import filecmp
import os
import re
import shutil
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..corpus.espeak import Utterance
from ..corpus.reading_voices import read_aloud
from ..demo.demo_clip import ASSETS
from ..errors import Diff2LipError
from ..evaluation.aligned_frames import known_boxes
from ..lipsync.speech import check_speech
from ..media.reader import VideoInfo, probe_video
from .settings import AppSettings

SHIPPED_FACE, SHIPPED_SPEECH = ASSETS / "face.mp4", ASSETS / "speech.wav"
COMMAND_LINE_CURE = re.compile(r"(, or raise the limit)?( \(--[a-z][a-z0-9-]*[^)]*\))?")
INT16_MAX = 32767


def take_video(upload: str | None, folder: Path, settings: AppSettings) -> Path:
    """Puts an uploaded video into the folder of a job, and checks it.

    The clip in the package brings its face boxes along.

    Raises:
        Diff2LipError: if there is none, if it cannot be read, or if it is longer or larger than allowed.
    """
    if not upload:
        raise Diff2LipError("There is no video; upload one, record one, or take the drawn face.")
    video = _linked(upload, folder / f"video{_suffix(upload)}")
    check_video(video, settings)
    if is_shipped_face(video):
        shutil.copyfile(_boxes_of(SHIPPED_FACE), video.with_name(f"{video.stem}.boxes.jsonl"))
    return video


def check_video(video: Path, settings: AppSettings) -> VideoInfo:
    """Checks that a video can be read and is within the limits.

    Raises:
        Diff2LipError: if not.
    """
    info = probe_video(video, settings.max_pixels)
    if info.duration_s is not None and info.duration_s > settings.max_duration:
        raise Diff2LipError(
            f"The video lasts {info.duration_s:.1f} s, more than the limit of {settings.max_duration:g} s; cut it."
        )
    return info


def take_speech(
    upload: str | None, text: str | None, voice: str | None, video: Path, folder: Path, settings: AppSettings
) -> Path:
    """Puts speech into the folder of a job: what was uploaded or recorded, or the text as espeak-ng says it.

    Raises:
        Diff2LipError: if there is neither, if it has no speech, or if it is longer than allowed.
    """
    if text and text.strip():
        return _spoken(text, voice, folder, settings)
    if upload:
        speech = _linked(upload, folder / f"speech{_suffix(upload)}")
        check_speech(speech)
        return speech
    if not probe_video(video).has_audio:
        raise Diff2LipError("There is no speech; upload or record it, or type what is to be said.")
    return video


def is_shipped_face(video: Path) -> bool:
    """Whether a video is the drawn face in the package."""
    return filecmp.cmp(video, SHIPPED_FACE, shallow=False)


@contextmanager
def hiding_paths(folder: Path) -> Iterator[None]:
    """Takes the server's paths, and the cures on the command line, out of errors.

    Raises:
        Diff2LipError: in place of a known error.
    """
    try:
        yield
    except (Diff2LipError, ValueError) as error:
        line = str(error).replace(f"{folder}{os.sep}", "").replace(str(folder), "the folder")
        plain = COMMAND_LINE_CURE.sub("", line)
        raise error if plain == str(error) else Diff2LipError(plain) from error


def _spoken(text: str, voice: str | None, folder: Path, settings: AppSettings) -> Path:
    utterance = read_aloud(text, voice, settings.max_text)
    path = folder / "speech.wav"
    _write_wav(path, utterance)
    return path


def _write_wav(path: Path, utterance: Utterance) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(utterance.sampling_rate)
        file.writeframes(
            (utterance.samples * INT16_MAX).round().clip(-INT16_MAX, INT16_MAX).astype(np.int16).tobytes()
        )


def _boxes_of(video: Path) -> Path:
    boxes = known_boxes(video)
    if boxes is None:
        raise Diff2LipError(f"{video.name}: its boxes are missing; install the package again")
    return boxes


def _linked(upload: str, path: Path) -> Path:
    """The upload under another name, also after the upload itself is deleted."""
    try:
        os.link(upload, path)
    except OSError:
        shutil.copyfile(upload, path)
    return path


def _suffix(upload: str) -> str:
    """The suffix of an upload, if it is a plain one."""
    suffix = Path(upload).suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,5}", suffix) else ""
