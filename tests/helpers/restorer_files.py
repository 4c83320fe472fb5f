"""Files of restorers: the true architectures with seeded weights."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import save_file


@contextmanager
def _torchvision() -> Iterator[None]:
    """Gives spandrel the three things that it imports from torchvision, of which there is no build for every torch."""
    try:
        import torchvision  # noqa: F401  # pyright: ignore[reportMissingImports]

        yield
    except Exception:
        names = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional")
        package, transforms, functional = (ModuleType(name) for name in names)
        package.transforms, transforms.functional = transforms, functional  # pyright: ignore[reportAttributeAccessIssue]
        functional.__dict__.update(normalize=None, rotate=None, InterpolationMode=type("Mode", (), {"BILINEAR": 1}))
        sys.modules |= dict(zip(names, (package, transforms, functional), strict=True))
        try:
            yield
        finally:
            for name in names:
                del sys.modules[name]


def import_spandrel():
    """Returns the package; skips the tests where it is not installed."""
    with _torchvision():
        return pytest.importorskip("spandrel", exc_type=ImportError)


def save_restorer(path: Path, network: torch.nn.Module) -> Path:
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    if path.suffix == ".safetensors":
        save_file({name: tensor.clone() for name, tensor in tensors.items()}, path)
    else:
        torch.save({"params_ema": tensors}, path)
    return path


def seeded(make, seed: int = 0, **sizes) -> torch.nn.Module:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return make(**sizes).eval()


def tiny_restoreformer(seed: int = 0) -> torch.nn.Module:
    from spandrel.architectures.RestoreFormer import RestoreFormer

    sizes = {"n_embed": 16, "embed_dim": 32, "ch": 32, "out_ch": 3, "ch_mult": (1, 1, 1, 1, 1, 1), "num_res_blocks": 1}
    sizes |= {"attn_resolutions": (16,), "dropout": 0.0, "in_channels": 3, "resolution": 512, "z_channels": 32}
    return seeded(RestoreFormer, seed, **sizes, double_z=False, enable_mid=True, head_size=8)


def tiny_compact(scale: int = 2, seed: int = 0, channels: int = 3) -> torch.nn.Module:
    from spandrel.architectures.Compact import Compact

    return seeded(Compact, seed, num_in_ch=channels, num_out_ch=channels, num_feat=8, num_conv=1, upscale=scale)


def tiny_esrgan(seed: int = 0) -> torch.nn.Module:
    from spandrel.architectures.ESRGAN import ESRGAN

    return seeded(ESRGAN, seed, num_filters=8, num_blocks=1, scale=4)


def gfpgan(seed: int = 0) -> torch.nn.Module:
    """Of the released size: spandrel knows no other."""
    from spandrel.architectures.GFPGAN import GFPGAN

    sizes = {"out_size": 512, "num_style_feat": 512, "channel_multiplier": 2, "decoder_load_path": None}
    sizes |= {"fix_decoder": False, "num_mlp": 8, "input_is_latent": True, "different_w": True, "narrow": 1}
    return seeded(GFPGAN, seed, **sizes, sft_half=True)
