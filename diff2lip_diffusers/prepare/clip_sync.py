"""Measures with a SyncNet by how many frames the speech of a clip is late."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ..errors import Diff2LipError
from ..media.reader import INT16_STEPS
from ..portable.feature_extraction_diff2lip import Diff2LipFeatureExtractor
from ..sync_score import sync_score
from ..syncnet import load_syncnet
from .set_layout import CLIP_FPS, SAMPLING_RATE


class ClipSync:
    """A SyncNet that measures clips.

    Args:
        path: a folder with a saved SyncNet, or the file of the public Wav2Lip expert.

    Raises:
        Diff2LipError: if there is none.
    """

    def __init__(self, path: str | Path):
        self._syncnet = load_syncnet(path)
        self._extractor = Diff2LipFeatureExtractor()

    def __call__(self, crops: Sequence[np.ndarray], samples: np.ndarray) -> tuple[int, float]:
        """By how many frames the speech is late, and the LSE-C, as in `SyncScore`.

        Args:
            crops: N face crops (S, S, 3) uint8, at 25 fps.
            samples: their speech (T,) int16, at 16 kHz.
        """
        frames = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)
        mel = self._extractor.mel_spectrogram(samples.astype(np.float32) / INT16_STEPS, SAMPLING_RATE)
        score = sync_score(self._syncnet, frames, mel, CLIP_FPS)
        return score.offset_frames, score.lse_c


def syncnet_digest(path: str | Path) -> str:
    """A hash of the SyncNet's file, or of the files in its folder.

    Raises:
        Diff2LipError: if there is none.
    """
    path, digest = Path(path), hashlib.sha256()
    try:
        files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
        for file in files:
            digest.update(file.name.encode(errors="surrogateescape") + file.read_bytes())
    except OSError as error:
        raise Diff2LipError(f"{path}: cannot be read as a SyncNet ({error.strerror}); name its folder") from error
    return digest.hexdigest()[:16]
