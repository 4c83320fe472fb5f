"""The weights that a personal model starts from, and their license, which it keeps."""

import re
from dataclasses import dataclass
from pathlib import Path

from ..hub import load_pipeline

LICENSE_FILE, CARD_NAME = "LICENSE.txt", "README.md"
LICENSE_LINE = re.compile(r"^license:\s*(\S+)\s*$", re.MULTILINE)
UNKNOWN = "unknown"


@dataclass(frozen=True)
class BaseWeights:
    """What must be known of the weights.

    Attributes:
        name: the folder or repository, as the caller gave it.
        size_px: height and width of the crops.
        has_null_embeds: whether it has learned an embedding that stands for no speech.
        license: its identifier in the model card, such as `apache-2.0`; `unknown` if the card names none.
        license_text: the file LICENSE.txt of the weights; None if there is none.
    """

    name: str
    size_px: int
    has_null_embeds: bool
    license: str
    license_text: str | None


def read_base_weights(model: str | Path) -> BaseWeights:
    """Loads the weights once, so that wrong ones are refused before any work.

    Raises:
        Diff2LipError: if there is no such pipeline.
        CheckpointError: if weights are missing.
    """
    pipe = load_pipeline(model, device="cpu", dtype="fp32")
    card, text = (_read(model, name) for name in (CARD_NAME, LICENSE_FILE))
    found = LICENSE_LINE.search(card.split("\n---", 1)[0]) if card else None
    has_null_embeds = pipe.audio_encoder.null_embeds is not None
    return BaseWeights(
        str(model), pipe.unet.config.sample_size, has_null_embeds, found.group(1) if found else UNKNOWN, text
    )


def _read(model: str | Path, name: str) -> str | None:
    """A text file of a model folder or of a repository; None if it has none."""
    if Path(model).is_dir():
        path = Path(model) / name
    else:
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(str(model), name)
        path = Path(cached) if isinstance(cached, str) else None
    return path.read_text(encoding="utf-8", errors="replace") if path is not None and path.is_file() else None
