"""How late the sound of a clip is, as a SyncNet from a folder measures it."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ..errors import Diff2LipError
from ..feature_extraction_diff2lip import Diff2LipFeatureExtractor
from ..media.reader import INT16_STEPS
from ..sync_score import sync_score
from ..syncnet import load_syncnet
from .prepare_options import CLIP_FPS, SAMPLING_RATE


class ClipSync:
    """Measures clips.

    Args:
        path: a folder that a SyncNet was saved in, or the file of the public Wav2Lip expert.

    Raises:
        Diff2LipError: there is none.
    """

    def __init__(self, path: str | Path):
        self._syncnet = load_syncnet(path)
        self._extractor = Diff2LipFeatureExtractor()

    def __call__(self, crops: Sequence[np.ndarray], samples: np.ndarray) -> tuple[int, float]:
        """By how many frames the sound is late, and the confidence in that, as `SyncScore` has them.

        Args:
            crops: N faces (S, S, 3) uint8, at 25 frames a second.
            samples: their sound (T,) int16, at 16 kHz.
        """
        pictures = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)
        mel = self._extractor.mel_spectrogram(samples.astype(np.float32) / INT16_STEPS, SAMPLING_RATE)
        score = sync_score(self._syncnet, pictures, mel, CLIP_FPS)
        return score.offset_frames, score.lse_c


def syncnet_digest(path: str | Path) -> str:
    """What tells a SyncNet from others: a hash of its file, or of the files in its folder.

    Raises:
        Diff2LipError: there is none.
    """
    path, digest = Path(path), hashlib.sha256()
    try:
        files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
        for file in files:
            digest.update(file.name.encode(errors="surrogateescape") + file.read_bytes())
    except OSError as error:
        raise Diff2LipError(f"{path}: cannot be read as a SyncNet ({error.strerror}); name its folder") from error
    return digest.hexdigest()[:16]
