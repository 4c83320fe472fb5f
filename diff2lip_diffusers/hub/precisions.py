"""Precisions of weights by name."""

import torch
from diffusers import ModelMixin

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def torch_dtype(dtype: str) -> torch.dtype:
    """Returns the type of a name; raises ValueError if it is unknown."""
    if dtype not in DTYPES:
        raise ValueError(f"`dtype` is {dtype!r}, known are {', '.join(DTYPES)}")
    return DTYPES[dtype]


def lowered(network: ModelMixin) -> list[torch.nn.Parameter]:
    """Returns the weights that a lower precision is for: all but those of layers that the network keeps in fp32."""
    kept = network._keep_in_fp32_modules or []
    return [weight for name, weight in network.named_parameters() if not any(layer in name for layer in kept)]


def set_precision(weights: list[torch.nn.Parameter], dtype: torch.dtype) -> None:
    """Sets the precision of weights in place."""
    for weight in weights:
        weight.data = weight.data.to(dtype)
