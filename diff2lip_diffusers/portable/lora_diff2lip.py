"""Low-rank adapters (LoRA) of the pipeline's U-Net, under diffusers' names."""

import os
from collections.abc import Callable
from typing import Any

import torch
from diffusers.loaders.lora_base import LoraBaseMixin, _fetch_state_dict


class Diff2LipLoraMixin(LoraBaseMixin):
    """Loads, saves and fuses adapters of the U-Net; the rest comes from diffusers' `LoraBaseMixin`."""

    _lora_loadable_modules = ["unet"]
    unet: Any

    @classmethod
    def lora_state_dict(
        cls, pretrained_model_name_or_path_or_dict: str | os.PathLike | dict[str, torch.Tensor], **kwargs
    ) -> dict[str, torch.Tensor] | tuple[dict[str, torch.Tensor], dict | None]:
        """Returns the weights of an adapter, with names that begin with `unet.`; only safetensors files are read.

        Args:
            pretrained_model_name_or_path_or_dict: folder, file, repository on the Hub, or the weights themselves.
            **kwargs: as in other pipelines: `weight_name`, `subfolder`, `revision`, `token`, `cache_dir`,
                `force_download`, `local_files_only`, `proxies`, and `return_lora_metadata` for a pair with the
                adapter's settings.

        Raises:
            ValueError: if there are other weights than those of an adapter.
        """
        with_metadata = kwargs.pop("return_lora_metadata", False)
        kwargs.pop("use_safetensors", None)  # pickled weights could run code
        names = ("weight_name", "local_files_only", "cache_dir", "proxies", "token", "revision", "subfolder")
        fetch = {name: kwargs.pop(name, None) for name in names} | {
            "force_download": kwargs.pop("force_download", False),
            "user_agent": {"file_type": "attn_procs_weights", "framework": "pytorch"},
        }
        weights, metadata = _fetch_state_dict(
            pretrained_model_name_or_path_or_dict, use_safetensors=True, allow_pickle=False, **fetch
        )
        if not weights or not all("lora" in name for name in weights):
            raise ValueError("the weights are not those of an adapter (LoRA): expected `lora` in each name")
        if not any(name.startswith("unet.") for name in weights):
            weights = {f"unet.{name}": weight for name, weight in weights.items()}
            metadata = metadata and {f"unet.{name}": value for name, value in metadata.items()}
        if metadata:
            metadata["unet.base_model_name_or_path"] = None  # with it, PEFT would look for a language model
        return (weights, metadata) if with_metadata else weights

    def load_lora_weights(
        self,
        pretrained_model_name_or_path_or_dict: str | os.PathLike | dict[str, torch.Tensor],
        adapter_name: str | None = None,
        hotswap: bool = False,
        **kwargs,
    ) -> None:
        """Adds an adapter to the U-Net and turns it on.

        Args:
            pretrained_model_name_or_path_or_dict: as in `lora_state_dict`; what `save_lora_weights`,
                `unet.save_lora_adapter` and `diff2lip train` write.
            adapter_name: its name for `set_adapters`; numbered by default.
            hotswap: whether to put its weights in the place of those of the adapter of that name.
            **kwargs: as in `lora_state_dict`, and `low_cpu_mem_usage`.

        Raises:
            ValueError: if the weights are not those of an adapter, or the name is taken.
            RuntimeError: if they are for another U-Net.
        """
        low_cpu_mem_usage = kwargs.pop("low_cpu_mem_usage", False)
        weights, metadata = self.lora_state_dict(
            pretrained_model_name_or_path_or_dict, **kwargs, return_lora_metadata=True
        )
        self.unet.load_lora_adapter(
            weights,
            prefix="unet",
            adapter_name=adapter_name,
            hotswap=hotswap,
            metadata=metadata,
            low_cpu_mem_usage=low_cpu_mem_usage,
            _pipeline=self,
        )

    @classmethod
    def save_lora_weights(
        cls,
        save_directory: str | os.PathLike,
        unet_lora_layers: dict[str, torch.Tensor],
        is_main_process: bool = True,
        weight_name: str | None = None,
        save_function: Callable | None = None,
        safe_serialization: bool = True,
        unet_lora_adapter_metadata: dict | None = None,
    ) -> None:
        """Writes the weights of an adapter, as other pipelines do.

        Args:
            save_directory: folder to write to.
            unet_lora_layers: weights of PEFT's `get_peft_model_state_dict(pipe.unet)`.
            is_main_process: whether this process writes.
            weight_name: of the file; `pytorch_lora_weights.safetensors` by default.
            save_function: writes the file, instead of safetensors.
            safe_serialization: whether to write safetensors.
            unet_lora_adapter_metadata: the adapter's settings, `pipe.unet.peft_config["name"].to_dict()`.
        """
        cls._save_lora_weights(
            save_directory,
            lora_layers={"unet": unet_lora_layers},  # pyright: ignore[reportArgumentType]
            lora_metadata={"unet": unet_lora_adapter_metadata},
            is_main_process=is_main_process,
            weight_name=weight_name,  # pyright: ignore[reportArgumentType]  # None is allowed
            save_function=save_function,  # pyright: ignore[reportArgumentType]
            safe_serialization=safe_serialization,
        )

    def fuse_lora(self, components: tuple[str, ...] | list[str] = ("unet",), *args, **kwargs) -> None:
        """Adds the adapters to the weights, so that they cost nothing; arguments as in other pipelines."""
        super().fuse_lora(list(components), *args, **kwargs)

    def unfuse_lora(self, components: tuple[str, ...] | list[str] = ("unet",), **kwargs) -> None:
        """Takes the adapters out of the weights again."""
        super().unfuse_lora(list(components), **kwargs)
