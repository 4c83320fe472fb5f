"""How loud speech is in each frame: where it pauses, and whether two files say the same."""

from fractions import Fraction
from pathlib import Path

import numpy as np

from ...errors import MediaError, NoAudioError
from ...media.reader import read_audio

# A frame is silent below one of these: an absolute level, and one under the loud parts of the speech.
SILENCE_DBFS, SILENCE_BELOW_LOUD_DB = -50.0, -35.0
# Lips move before and after the sound: so many frames at each end of a pause belong to the speech.
LIPS_FRAMES = 3
# Shorter pauses than this, after that, say nothing.
MIN_SILENCE_FRAMES = 2
# The same speech, encoded anew, still correlates by more than this; other speech never does.
SAME_SPEECH = 0.9
FLOOR_DB = -80.0


def frame_levels(speech: Path, fps: Fraction) -> np.ndarray:
    """Returns the level of a file's audio in each frame of video, (N,) float64 in dBFS, -80 or more.

    Args:
        speech: audio or video file; without audio, N is 0.
        fps: frames per second.
    """
    try:
        waveform, sampling_rate = read_audio(speech)
    except NoAudioError:
        return np.zeros(0)
    samples_per_frame = Fraction(sampling_rate) / fps
    count = int(len(waveform) / samples_per_frame)
    edges = [int(index * samples_per_frame) for index in range(count + 1)]
    powers = np.array([np.square(waveform[a:b]).mean() for a, b in zip(edges, edges[1:], strict=False)])
    return 10 * np.log10(np.maximum(powers, 10 ** (FLOOR_DB / 10)))


def has_audio(path: Path) -> bool:
    """Whether a file has audio that can be read."""
    try:
        return len(read_audio(path)[0]) > 0
    except MediaError:
        return False


def silent_frames(speech: Path, fps: Fraction, num_frames: int) -> np.ndarray:
    """Returns in which frames the speech pauses, (N,) bool, long enough for the mouth to be closed.

    After the end of the audio, and without audio, all is silent.
    """
    levels = frame_levels(speech, fps)[:num_frames]
    levels = np.concatenate([levels, np.full(num_frames - len(levels), FLOOR_DB)])
    limit = SILENCE_DBFS if not num_frames else max(SILENCE_DBFS, np.quantile(levels, 0.95) + SILENCE_BELOW_LOUD_DB)
    return _inside_of_pauses(levels < limit)


def say_the_same(one: Path, other: Path, fps: Fraction) -> bool:
    """Whether two files have the same speech from the same moment on; a file without audio says nothing."""
    if one == other:
        return True
    levels = [frame_levels(path, fps) for path in (one, other)]
    count = min(map(len, levels))
    if count < 2:
        return False
    first, second = (part[:count] - part[:count].mean() for part in levels)
    scale = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return scale > 0 and float((first * second).sum()) / scale > SAME_SPEECH


def _inside_of_pauses(silent: np.ndarray) -> np.ndarray:
    """Only what is left of each run of True without the frames in which lips begin or end to speak."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], silent, [False]]).astype(int)))
    kept = np.zeros_like(silent)
    for first, end in edges.reshape(-1, 2):
        first += LIPS_FRAMES if first > 0 else 0
        end -= LIPS_FRAMES if end < len(silent) else 0
        kept[first:end] = end - first >= MIN_SILENCE_FRAMES
    return kept
