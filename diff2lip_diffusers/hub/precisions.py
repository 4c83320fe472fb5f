"""Precisions of weights by name."""

import torch

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def torch_dtype(dtype: str) -> torch.dtype:
    """Returns the type of a name; raises ValueError if it is unknown."""
    if dtype not in DTYPES:
        raise ValueError(f"`dtype` is {dtype!r}, known are {', '.join(DTYPES)}")
    return DTYPES[dtype]
