"""Low-rank adapters (LoRA): fine-tuning on one person in a file of less than a megabyte."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import Diff2LipError
from ..output_paths import filling_folder
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from ..portable.unet_diff2lip import Diff2LipUNet2DConditionModel
from .config_checks import check_range

ADAPTER = "default"


@dataclass(frozen=True)
class LoraSettings:
    """Settings of a low-rank adapter.

    Args:
        rank: Rank of the adapter's matrices.
        alpha: The adapter's outputs are scaled by `alpha` / `rank`.
        target_modules: Names of the layers that get an adapter.
    """

    rank: int = 4
    alpha: float = 4.0
    target_modules: tuple[str, ...] = ("to_q", "to_k", "to_v", "to_out.0")

    def __post_init__(self):
        check_range(self, "lora.", "rank", 1)
        if not self.alpha > 0:
            raise ValueError(f"`lora.alpha` is {self.alpha}, expected a number above 0")
        if not self.target_modules:
            raise ValueError("`lora.target_modules` is empty, expected names of layers such as to_q")


def add_lora(unet: Diff2LipUNet2DConditionModel, settings: LoraSettings, seed: int, base: str | None = None) -> None:
    """Adds an adapter that does not change the output yet, and freezes all other weights.

    Args:
        unet: the network that is adapted.
        settings: size and place of the adapter.
        seed: decides the adapter's initial weights.

    Raises:
        Diff2LipError: if PEFT is not installed.
        ValueError: if the network has no layers of these names.
    """
    try:
        from peft import LoraConfig
    except ImportError as error:
        raise Diff2LipError("`lora` needs PEFT, which is not installed; pip install peft") from error
    unet.requires_grad_(False)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        try:
            # PEFT takes any number as alpha; its annotation says int.
            alpha: Any = settings.alpha
            unet.add_adapter(
                LoraConfig(r=settings.rank, lora_alpha=alpha, target_modules=list(settings.target_modules)), ADAPTER
            )
        except ValueError as error:
            names = ", ".join(settings.target_modules)
            raise ValueError(f"`lora.target_modules` is {names}: {str(error).partition('.')[0]}") from error


def save_lora(unet: Diff2LipUNet2DConditionModel, folder: str | Path, base: str | None = None) -> None:
    """Writes the adapter as `pytorch_lora_weights.safetensors`, complete or not at all.

    `pipe.load_lora_weights(folder)` loads it into a pipeline of the model that it was trained on.

    Args:
        unet: the adapted network.
        folder: the folder to write or to replace.
        base: folder or repository of the model that it was trained on, which the file names.

    Raises:
        MediaError: if the folder cannot be written.
    """
    from peft.utils import get_peft_model_state_dict

    is_folder = base is not None and Path(base).exists()
    settings = unet.peft_config[ADAPTER].to_dict() | {  # pyright: ignore[reportIndexIssue]
        "base_model_name_or_path": str(Path(base).absolute()) if base is not None and is_folder else base
    }
    with filling_folder(folder) as hidden:
        Diff2LipPipeline.save_lora_weights(
            hidden, get_peft_model_state_dict(unet, adapter_name=ADAPTER), unet_lora_adapter_metadata=settings
        )
