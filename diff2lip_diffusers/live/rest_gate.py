"""Tells in which frames of live speech nobody speaks, so that the mouth rests, without knowing what comes."""

import torch

from ..lipsync.speech_pauses import SILENCE_BELOW_LOUD_DB, step_levels

# Levels of mel steps in dB: loud speech has about 7, noise at -60 dB of full scale -32.
FIRST_LOUD_DB, SILENT_DB = 5.0, -30.0
# Loudness of the speaker is forgotten at this speed.
FORGETTING_DB_PER_S = 1.0
# The mouth closes in so many frames.
CLOSING_FRAMES = 2


class RestGate:
    """The share of rest in consecutive frames.

    A frame is silent if all of its window, 0.2 s, is silent: far below the loudest speech of the last seconds.

    Args:
        fps: frames per second.
    """

    def __init__(self, fps: float):
        self._fps = fps
        self._loud_db = FIRST_LOUD_DB
        self._silent_frames = CLOSING_FRAMES

    def share(self, window: torch.Tensor) -> float:
        """How far the mouth rests in the next frame, from 0 to 1.

        Args:
            window: its mel window, (80, 16).
        """
        loudest = float(step_levels(window).max())
        self._loud_db = max(loudest, self._loud_db - FORGETTING_DB_PER_S / self._fps)
        is_silent = loudest < max(SILENT_DB, self._loud_db - SILENCE_BELOW_LOUD_DB)
        self._silent_frames = min(self._silent_frames + 1, CLOSING_FRAMES) if is_silent else 0
        return self._silent_frames / CLOSING_FRAMES
