"""Text to speech with phoneme times, by espeak-ng from the package `espeakng-loader` or from the system."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import Diff2LipError
from . import espeak_process

SCRIPT = Path(espeak_process.__file__)
TIMEOUT_S = 60
INSTALL = 'pip install "diff2lip-diffusers[corpus]"'
INT16_STEPS = 32768


class EspeakError(Diff2LipError):
    """espeak-ng is not installed, or cannot speak the text."""


@dataclass(frozen=True)
class Phoneme:
    """One phoneme and its time.

    Attributes:
        start_s: start, in seconds from the first sample.
        end_s: end.
        symbol: IPA, possibly with length or stress marks; several letters for a diphthong or an affricate; empty for a
            pause.
    """

    start_s: float
    end_s: float
    symbol: str


@dataclass(frozen=True)
class Utterance:
    """Synthesized speech with its phonemes.

    Attributes:
        samples: (T,) float32 in [-1, 1).
        sampling_rate: in Hz; espeak-ng's is 22050.
        phonemes: in order of time; each starts where the one before ends.
    """

    samples: np.ndarray
    sampling_rate: int
    phonemes: tuple[Phoneme, ...]

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.sampling_rate


def speak(text: str, voice: str, rate_wpm: int = 150, pitch: int = 50, variant: str | None = None) -> Utterance:
    """Synthesizes a text; the same arguments always give the same samples.

    Args:
        text: the words; commas and periods make pauses.
        voice: name of an espeak-ng voice, such as `en-us` or `de`.
        rate_wpm: words per minute, 80 to 450.
        pitch: 0 to 99.
        variant: name of an espeak-ng voice variant, such as `f3`; None for the plain voice.

    Raises:
        ValueError: if `text` is empty, or `rate_wpm` or `pitch` is out of range.
        EspeakError: if espeak-ng is not installed, or has no such voice or variant.
    """
    if not text.strip():
        raise ValueError(f"`text` is {text!r}, expected words to say")
    for name, value, least, most in (("rate_wpm", rate_wpm, 80, 450), ("pitch", pitch, 0, 99)):
        if not least <= value <= most:
            raise ValueError(f"`{name}` is {value}, expected {least} to {most}")
    library, data = find_package()
    request = {
        "library": library, "data": data,
        "text": text, "voice": voice, "variant": variant, "rate_wpm": int(rate_wpm), "pitch": int(pitch),
    }  # fmt: skip
    return _utterance(_run_script(request))


def find_package() -> tuple[str, str] | tuple[None, None]:
    """Library and data folder of the package `espeakng-loader`; None without it, which means the system's."""
    try:
        import espeakng_loader

        return espeakng_loader.get_library_path(), espeakng_loader.get_data_path()
    except (ImportError, RuntimeError):  # RuntimeError: the package lacks its data
        return None, None


def check_espeak() -> None:
    """Checks before any work that espeak-ng can speak.

    Raises:
        EspeakError: if it cannot.
    """
    speak("a", "en-us")


def _run_script(request: dict) -> bytes:
    """The answer of a fresh process."""
    # -I: imports depend neither on the environment nor on the current folder; -S: it starts faster without site.
    command = [sys.executable, "-I", "-S", str(SCRIPT)]
    try:
        done = subprocess.run(command, input=json.dumps(request).encode(), capture_output=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise EspeakError(f"espeak-ng did not finish {request['text']!r} within {TIMEOUT_S} s") from error
    if done.returncode:
        raise EspeakError(_reason(done.returncode, done.stderr, request))
    return done.stdout


def _reason(code: int, stderr: bytes, request: dict) -> str:
    if code == espeak_process.NO_LIBRARY:
        return f"espeak-ng is not installed; {INSTALL}"
    if code == espeak_process.NO_DATA:
        return f"espeak-ng cannot start: its voice data are missing; {INSTALL}"
    if code == espeak_process.NO_VOICE:
        return f"espeak-ng has no voice {request['voice']!r}; choose another, such as en-us or de"
    if code == espeak_process.NO_VARIANT:
        return f"espeak-ng has no variant {request['variant']!r}; choose another, such as m1 or f3"
    lines = stderr.decode(errors="replace").strip().splitlines()
    return f"espeak-ng failed (exit code {code}) at {request['text']!r}: {lines[-1] if lines else 'no error message'}"


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
