"""The speech of a video at 16 kHz, so that each of its frames at 25 fps has 640 samples."""

from pathlib import Path

import numpy as np

from ..errors import NoAudioError
from ..lipsync.speech import resampled_blocks
from ..media.reader import INT16_STEPS
from ..media.streams import audio_blocks, audio_stream, open_input
from .prepare_options import SAMPLING_RATE
from .source_videos import InputVideo

# Quieter than this all over is no recording of a voice: 60 dB below full scale (root mean square).
SILENCE_DB = -60


def read_speech(video: InputVideo) -> np.ndarray:
    """The sound of a video, or, where it is silent, of the `.wav` file of the same name beside it.

    Returns:
        (T,) int16, 16 kHz, mean over channels; sample 640 n stands at the beginning of frame n.

    Raises:
        NoAudioError: there is neither.
        MediaError: a file cannot be read.
    """
    try:
        own = _read(video.path)
    except NoAudioError:
        if not video.speech_file.is_file():
            raise
        return _read(video.speech_file)
    return _read(video.speech_file) if is_silent(own) and video.speech_file.is_file() else own


def is_silent(samples: np.ndarray) -> bool:
    """Whether there is nothing to hear in int16 samples."""
    if not len(samples):
        return True
    return float(np.sqrt(np.mean(samples.astype(np.float32) ** 2))) < INT16_STEPS * 10 ** (SILENCE_DB / 20)


def _read(path: Path) -> np.ndarray:
    with open_input(path) as container:
        stream = audio_stream(container, path)
        rate = stream.codec_context.sample_rate
        blocks = resampled_blocks(audio_blocks(container, stream, path, "s16", rate), rate, SAMPLING_RATE)
        return np.concatenate([np.zeros(0, np.int16), *map(_as_int16, blocks)])


def _as_int16(samples: np.ndarray) -> np.ndarray:
    return np.floor(samples * INT16_STEPS + 0.5).clip(-INT16_STEPS, INT16_STEPS - 1).astype(np.int16)
