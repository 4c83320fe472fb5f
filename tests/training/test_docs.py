"""docs/training.md lists all settings: one row per key, from the docstrings of the dataclasses."""

import dataclasses
import re
from pathlib import Path

import pytest

from diff2lip_diffusers.training.audio_pretraining import AudioPretrainingConfig
from diff2lip_diffusers.training.config import TrainConfig
from diff2lip_diffusers.training.distillation.config import DistillConfig, DistillLossWeights
from diff2lip_diffusers.training.lora import LoraSettings
from diff2lip_diffusers.training.loss_weights import LOSS_PRESETS, LossWeights
from diff2lip_diffusers.training.model_config import AudioConfig, ModelConfig
from diff2lip_diffusers.training.syncnet_config import SyncNetTrainConfig

PAGE = Path(__file__).parents[2] / "docs" / "training.md"
KINDS = [
    TrainConfig,
    LossWeights,
    LoraSettings,
    ModelConfig,
    AudioConfig,
    DistillConfig,
    DistillLossWeights,
    SyncNetTrainConfig,
    AudioPretrainingConfig,
]


def rows(kind: type) -> list[str]:
    """The rows of a dataclass: key, default, and what its docstring says."""
    described = {}
    for owner in reversed([owner for owner in kind.__mro__ if dataclasses.is_dataclass(owner)]):
        arguments = owner.__doc__.split("Args:\n")[1].split("\n\n")[0]
        found = re.findall(r"^        (\w+): (.+(?:\n            .+)*)", arguments, flags=re.M)
        described |= {name: " ".join(text.split()) for name, text in found}
    return [f"| `{field.name}` | {default(field)} | {described[field.name]} |" for field in dataclasses.fields(kind)]


def default(field: dataclasses.Field) -> str:
    if field.default_factory is not dataclasses.MISSING:
        return "see below"
    if field.default is dataclasses.MISSING:
        return "required"
    words = {None: "none", True: "`true`", False: "`false`"}
    if field.default is None or isinstance(field.default, bool):
        return words[field.default]
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    return f"`{value}`".replace("'", "")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_page_lists_every_key_with_its_default_and_meaning(kind):
    table = "\n".join(["| key | default | meaning |", "|---|---|---|", *rows(kind)])
    assert table in PAGE.read_text(encoding="utf-8"), f"put this table into docs/training.md:\n{table}"


def test_the_page_has_the_weights_of_the_losses():
    text = PAGE.read_text(encoding="utf-8")
    for name, weight in dataclasses.asdict(LOSS_PRESETS["paper"]).items():
        simple = getattr(LOSS_PRESETS["simple"], name)
        assert re.search(rf"^\| `{name}` \| .* \| {weight:g} \| {simple:g} \|$", text, flags=re.M), name
