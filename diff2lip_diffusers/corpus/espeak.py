"""Text to speech with the times of its phonemes, by espeak-ng."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import Diff2LipError
from . import espeak_process

SPEAKER = Path(espeak_process.__file__)
LIMIT_S = 60
INT16_STEPS = 32768


class EspeakError(Diff2LipError):
    """espeak-ng is not installed, or cannot speak what it is asked to."""


@dataclass(frozen=True)
class Phoneme:
    """A stretch of speech with one sound.

    Attributes:
        start_s: where it begins, in seconds from the beginning of the samples.
        end_s: where it ends.
        symbol: IPA, possibly with length or stress marks, or several letters for a diphthong or an affricate; empty
            for a pause.
    """

    start_s: float
    end_s: float
    symbol: str


@dataclass(frozen=True)
class Utterance:
    """Speech and what is spoken when.

    Attributes:
        samples: (T,) float32 in [-1, 1).
        sampling_rate: of `samples`, in Hz; espeak-ng speaks at 22050.
        phonemes: in the order of time, each beginning where the one before ends.
    """

    samples: np.ndarray
    sampling_rate: int
    phonemes: tuple[Phoneme, ...]

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.sampling_rate


def speak(text: str, voice: str, rate_wpm: int = 150, pitch: int = 50, variant: str | None = None) -> Utterance:
    """Speech of a text, always the same for the same arguments.

    Args:
        text: what to say; commas and full stops make pauses.
        voice: name of an espeak-ng voice, as `en-us` or `de`.
        rate_wpm: words a minute, from 80 to 450.
        pitch: from 0 to 99.
        variant: name of an espeak-ng voice variant, as `f3`; the voice's own sound by default.

    Raises:
        ValueError: if `text` is empty, or `rate_wpm` or `pitch` is out of range.
        EspeakError: if espeak-ng is not installed, or has no such voice or variant.
    """
    if not text.strip():
        raise ValueError(f"`text` is {text!r}, expected words to say")
    for name, value, least, most in (("rate_wpm", rate_wpm, 80, 450), ("pitch", pitch, 0, 99)):
        if not least <= value <= most:
            raise ValueError(f"`{name}` is {value}, expected {least} to {most}")
    request = {
        "text": text, "voice": voice, "variant": variant, "rate_wpm": int(rate_wpm), "pitch": int(pitch)
    }  # fmt: skip
    return _utterance(_ask_speaker(request))


def check_espeak() -> None:
    """Finds out before the work whether espeak-ng can speak.

    Raises:
        EspeakError: it cannot.
    """
    speak("a", "en-us")


def _ask_speaker(request: dict) -> bytes:
    """What a fresh process answers to the request."""
    # -I: neither the environment nor the current folder decide what is imported; -S: nor does site, it starts sooner.
    command = [sys.executable, "-I", "-S", str(SPEAKER)]
    try:
        done = subprocess.run(command, input=json.dumps(request).encode(), capture_output=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired as error:
        raise EspeakError(f"espeak-ng has not spoken {request['text']!r} within {LIMIT_S} s") from error
    if done.returncode:
        raise EspeakError(_reason(done.returncode, done.stderr, request))
    return done.stdout


def _reason(code: int, stderr: bytes, request: dict) -> str:
    if code == espeak_process.NO_LIBRARY:
        return "the library espeak-ng (libespeak-ng.so.1) is not installed; apt install espeak-ng"
    if code == espeak_process.NO_DATA:
        return "espeak-ng cannot start, its voice data are missing; apt install espeak-ng-data"
    if code == espeak_process.NO_VOICE:
        return f"espeak-ng has no voice {request['voice']!r}; `espeak-ng --voices` lists those it has"
    if code == espeak_process.NO_VARIANT:
        return f"espeak-ng has no variant {request['variant']!r}; `espeak-ng --voices=variant` lists those it has"
    told = stderr.decode(errors="replace").strip().splitlines()
    return f"espeak-ng failed (exit code {code}) at {request['text']!r}: {told[-1] if told else 'it says no more'}"


def _utterance(answer: bytes) -> Utterance:
    line, _, pcm = answer.partition(b"\n")
    header = json.loads(line)
    samples = np.frombuffer(pcm, np.int16).astype(np.float32) / INT16_STEPS
    rate = header["sampling_rate"]
    starts = [sample / rate for sample, _ in header["phonemes"]]
    ends = [*starts[1:], len(samples) / rate]
    symbols = [symbol for _, symbol in header["phonemes"]]
    phonemes = tuple(Phoneme(*args) for args in zip(starts, ends, symbols, strict=True) if args[1] > args[0])
    return Utterance(samples, rate, phonemes)
