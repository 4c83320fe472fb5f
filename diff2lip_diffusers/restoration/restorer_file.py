"""Loads a restorer from its file: safely, and only what can improve a face."""

import inspect
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from ..errors import CheckpointError, Diff2LipError, MediaError
from ..original_checkpoint import load_checkpoint_file
from .restorer import FACE_ARCHITECTURES, Restorer

SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt")


@lru_cache(maxsize=1)
def load_restorer(path: Path, device: torch.device) -> Restorer:
    """The restorer in a file, in float32. A second call returns the same one.

    Files of PyTorch may hold tensors only: what could run code is refused. CodeFormer needs the package
    `spandrel_extra_arches`.

    Args:
        path: `.safetensors`, `.pth`, `.pt` or `.ckpt`.
        device: where it runs.

    Raises:
        MediaError: if the file is missing.
        CheckpointError: if it is damaged, holds more than tensors, or is no restorer of a known architecture.
        Diff2LipError: if the package that knows the architectures is not installed.
    """
    spandrel = _import_spandrel()
    tensors = _read(path)
    try:
        found = spandrel.ModelLoader().load_from_state_dict(spandrel.canonicalize_state_dict(tensors))
    except spandrel.UnsupportedModelError as error:
        known = "pass weights of GFPGAN, RestoreFormer, ESRGAN or another one that spandrel knows"
        reason = f"{known} (CodeFormer: pip install spandrel_extra_arches)"
        raise CheckpointError(f"{path}: is no restorer of a known architecture; {reason}") from error
    except Exception as error:  # names of one architecture, but shapes of none
        reason = "has the names of a restorer, but not its tensors; download or export it again"
        raise CheckpointError(f"{path}: {reason}") from error
    architecture = found.architecture.id
    if found.purpose == "Inpainting" or (found.input_channels, found.output_channels) != (3, 3):
        reason = f"is a {architecture} that cannot improve a face in color; pass a face restorer or an enlarger"
        raise CheckpointError(f"{path}: {reason}")
    return Restorer(path, architecture, found.scale, _function_of(found.to(device).eval(), architecture), device)


def _import_spandrel() -> Any:
    try:
        import spandrel
    except Exception as error:  # a torchvision that does not fit torch raises a RuntimeError
        reason = f"restorers need spandrel ({error}); pip install 'diff2lip-diffusers[restore]'"
        raise Diff2LipError(reason) from error
    try:
        import_module("spandrel_extra_arches").install(ignore_duplicates=True)  # of other licenses, so never required
    except ImportError:
        pass
    return spandrel


def _read(path: Path) -> dict[str, Any]:
    if path.suffix.lower() not in SUFFIXES:
        raise CheckpointError(f"{path}: is no file of weights; pass one that ends in {', '.join(SUFFIXES)}")
    if path.suffix.lower() != ".safetensors":
        content = load_checkpoint_file(path)
        if not isinstance(content, dict):
            raise CheckpointError(f"{path}: holds a {type(content).__name__}, expected named tensors")
        return content
    if not path.is_file():
        raise MediaError(path, "is a folder, not a file of weights" if path.is_dir() else "no such file of weights")
    try:
        return load_file(path)
    except Exception as error:  # safetensors' own errors, and those of the disk
        raise CheckpointError(f"{path}: cannot be read: it is truncated, or no safetensors file") from error


def _function_of(found: Any, architecture: str) -> Any:
    """A function from an image (1, 3, n, m) in [0, 1] to the restored one.

    The networks for faces were trained on [-1, 1], which the package does not do for all of them.
    """
    if architecture not in FACE_ARCHITECTURES:
        return found
    network = found.model
    if "randomize_noise" in inspect.signature(network.forward).parameters:
        network = partial(network, randomize_noise=False)  # or each frame would get other noise
    return lambda image: (network(2 * image - 1)[0] + 1) / 2
