"""Loads a trained audio encoder from the folder that `diff2lip pretrain-audio` writes."""

from pathlib import Path

import torch

from ..errors import CheckpointError, Diff2LipError
from ..hub.checks import check_config_files
from ..portable.audio_encoder_diff2lip import Diff2LipAudioEncoder


def load_audio_encoder(folder: str | Path) -> Diff2LipAudioEncoder:
    """Returns the audio encoder in a folder, in float32.

    Raises:
        Diff2LipError: if there is none, or it cannot be loaded.
    """
    if not (Path(folder) / "config.json").is_file():
        raise Diff2LipError(f"{folder}: has no config.json; name the folder of a trained audio encoder")
    check_config_files(folder)
    try:
        return Diff2LipAudioEncoder.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise CheckpointError(f"{folder}: cannot be loaded as an audio encoder: {reason}") from error
