"""Compiles the U-Net: each call is faster, after a first one that waits for the compiler."""

import os
import time
from functools import wraps
from pathlib import Path
from typing import Any

import torch

from ..errors import Diff2LipError
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from .files import reason_of

# Each block of another size is compiled by itself; the default of torch, 8, is for a few sizes.
MOST_SIZES = 256
# Modes of torch.compile; all but the first one record CUDA graphs on a GPU.
COMPILE_MODES = ("default", "reduce-overhead", "max-autotune")


def compile_pipeline(pipe: Diff2LipPipeline, mode: str = COMPILE_MODES[0], **options) -> None:
    """Compiles the residual and attention blocks of the U-Net when they are first used; or the U-Net as a whole.

    All processes of a user share the compiled code, which outlives them: in the folder that TORCHINDUCTOR_CACHE_DIR
    names, else in `diff2lip/compiled` of the user's cache. Compiled code rounds differently.

    Args:
        pipe: the pipeline, on its device.
        mode: one of `COMPILE_MODES`. Blocks are compiled with the first one. The others compile the whole U-Net, which
            takes longer; on a GPU, a call is then one CUDA graph.
        **options: of `torch.compile`.

    Raises:
        ValueError: if there is no such mode.
    """
    if mode not in COMPILE_MODES:
        raise ValueError(f"`mode` is {mode!r}, known are {', '.join(COMPILE_MODES)}")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache / "diff2lip" / "compiled"))
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, MOST_SIZES)
    if mode == COMPILE_MODES[0]:
        pipe.unet.compile_repeated_blocks(**options)
    else:
        _compile_whole(pipe.unet, mode=mode, **options)


def _compile_whole(unet: Any, **options) -> None:
    compiled = torch.compile(unet.forward, **options)

    @wraps(unet.forward)
    def forward(*args, **kwargs):
        # The next call of a CUDA graph writes to the same memory, and some schedulers keep predictions.
        torch.compiler.cudagraph_mark_step_begin()
        output = compiled(*args, **kwargs)
        output.sample = output.sample.clone()
        return output

    unet.forward = forward


def warm_up(pipe: Diff2LipPipeline, batch_size: int, guidance_scale: float | None = None) -> float:
    """Samples one step of a blank batch, so that everything is compiled; returns the seconds that it took.

    Args:
        pipe: a compiled pipeline.
        batch_size: crops at a time, as later calls have them: other numbers are compiled again.
        guidance_scale: of later calls.

    Raises:
        Diff2LipError: if the compiler fails, or there is none.
    """
    start = time.perf_counter()
    size, extractor = pipe.unet.config.sample_size, pipe.feature_extractor
    windows = torch.full((batch_size, extractor.feature_size, extractor.window_size), extractor.padding_value)
    try:
        pipe(
            torch.zeros(batch_size, 3, size, size),
            mel_windows=windows,
            num_inference_steps=1,
            generator=torch.Generator().manual_seed(0),
            guidance_scale=guidance_scale,
            output_type="pt",
        )
    except (RuntimeError, OSError) as error:
        raise Diff2LipError(f"the model cannot be compiled on this machine: {reason_of(error)}") from error
    return time.perf_counter() - start
