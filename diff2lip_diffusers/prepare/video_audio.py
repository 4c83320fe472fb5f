"""Reads the speech of a video at 16 kHz: 640 samples for each frame at 25 fps."""

from pathlib import Path

import numpy as np

from ..errors import NoAudioError
from ..lipsync.speech import resampled_blocks
from ..media.reader import INT16_STEPS
from ..media.streams import audio_blocks, audio_stream, open_input
from .set_layout import SAMPLING_RATE
from .source_videos import InputVideo

# Audio below this level is no recording of a voice: 60 dB below full scale (root mean square).
SILENCE_DB = -60


def read_speech(video: InputVideo) -> np.ndarray:
    """The audio of a video, or of the `.wav` file of the same name beside it if the video has none or is silent.

    Returns:
        (T,) int16, 16 kHz, mean over channels; frame n starts at sample 640 n.

    Raises:
        NoAudioError: if there is neither.
        MediaError: if a file cannot be read.
    """
    try:
        own = _read(video.path)
    except NoAudioError:
        if not video.speech_file.is_file():
            raise
        return _read(video.speech_file)
    return _read(video.speech_file) if is_silent(own) and video.speech_file.is_file() else own


def is_silent(samples: np.ndarray) -> bool:
    """Whether int16 samples are quieter than `SILENCE_DB`."""
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
