"""LPIPS: how different two images look, by the features of a network that was trained to classify images.

Neither the weights nor the package `lpips` are part of this project. The layers here have the same names as in that
package, so that `torch.save(lpips.LPIPS(net="vgg").state_dict(), "lpips.pt")` makes a file that loads.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from ..errors import CheckpointError, Diff2LipError
from ..original_checkpoint import load_checkpoint_file

PACKAGE = "package"
CURE = 'make the file by torch.save(lpips.LPIPS(net="alex").state_dict(), FILE), where lpips is installed'
# Mean and deviation of the networks' training images, for values in [-1, 1].
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
# Slices of both networks: (index in the network, convolution or pooling). Each slice ends after its last ReLU.
ALEX = (
    ((0, (3, 64, 11, 4, 2)),),
    ((2, "pool"), (3, (64, 192, 5, 1, 2))),
    ((5, "pool"), (6, (192, 384, 3, 1, 1))),
    ((8, (384, 256, 3, 1, 1)),),
    ((10, (256, 256, 3, 1, 1)),),
)
VGG = (
    ((0, (3, 64, 3, 1, 1)), (2, (64, 64, 3, 1, 1))),
    ((4, "pool"), (5, (64, 128, 3, 1, 1)), (7, (128, 128, 3, 1, 1))),
    ((9, "pool"), (10, (128, 256, 3, 1, 1)), (12, (256, 256, 3, 1, 1)), (14, (256, 256, 3, 1, 1))),
    ((16, "pool"), (17, (256, 512, 3, 1, 1)), (19, (512, 512, 3, 1, 1)), (21, (512, 512, 3, 1, 1))),
    ((23, "pool"), (24, (512, 512, 3, 1, 1)), (26, (512, 512, 3, 1, 1)), (28, (512, 512, 3, 1, 1))),
)
# Kernel size of the first convolution: the network, and the width of its pooling windows.
NETWORKS = {11: (ALEX, 3), 3: (VGG, 2)}


class PerceptualDistance(nn.Module):
    """Distance of images (N, 3, S, S) in [-1, 1], (N, 1, 1, 1): weighted differences of unit feature vectors.

    Args:
        slices: `ALEX` or `VGG`.
        pool_px: width of the pooling windows.

    Source: Zhang et al. 2018 (LPIPS), equation 1.
    """

    def __init__(self, slices: tuple, pool_px: int):
        super().__init__()
        self.net = nn.ModuleDict(
            {f"slice{number}": _slice(layers, pool_px) for number, layers in enumerate(slices, start=1)}
        )
        for number, layers in enumerate(slices):
            channels = layers[-1][1][1]
            head = nn.Sequential(nn.Identity(), nn.Conv2d(channels, 1, kernel_size=1, bias=False))
            self.add_module(f"lin{number}", nn.ModuleDict({"model": head}))

    def forward(self, images: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        """Returns distances (N, 1, 1, 1), 0 for equal images."""
        shift, scale = (images.new_tensor(values)[:, None, None] for values in (SHIFT, SCALE))
        features, other_features = ((one - shift) / scale for one in (images, others))
        total = torch.zeros(())
        for number, part in enumerate(self.net.values()):
            features, other_features = part(features), part(other_features)
            difference = (_unit(features) - _unit(other_features)).square()
            head = self.get_submodule(f"lin{number}.model")
            total = total + head(difference).mean(dim=(2, 3), keepdim=True)
        return total


def load_distance(source: str | Path, device: torch.device | str = "cpu") -> Callable:
    """Returns LPIPS with frozen weights: a function of two batches (N, 3, S, S) in [-1, 1] that returns N distances.

    Args:
        source: file of its weights, or `"package"` for the installed `lpips`, with VGG features.
        device: device to compute on.

    Raises:
        Diff2LipError: if `source` is `"package"` and the package is not installed.
        MediaError: if the file is missing.
        CheckpointError: if it holds other weights.
    """
    distance = _from_package() if source == PACKAGE else _from_file(Path(source))
    return distance.to(device).requires_grad_(False).eval()


def _from_package() -> nn.Module:
    try:
        import lpips  # pyright: ignore[reportMissingImports]  (optional)
    except ImportError as error:
        raise Diff2LipError(
            "`lpips` is 'package', which is not installed; pip install lpips, or name a file"
        ) from error
    return lpips.LPIPS(net="vgg", verbose=False)


def _from_file(path: Path) -> PerceptualDistance:
    try:
        tensors = load_file(path) if path.suffix == ".safetensors" else load_checkpoint_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read as LPIPS weights; {CURE}") from error
    first = tensors.get("net.slice1.0.weight") if isinstance(tensors, dict) else None
    if not isinstance(tensors, dict) or first is None or first.shape[-1] not in NETWORKS:
        raise CheckpointError(f"{path}: holds no LPIPS weights with AlexNet or VGG features; {CURE}")
    distance = PerceptualDistance(*NETWORKS[first.shape[-1]])
    wanted = distance.state_dict().keys()
    missing = tuple(name for name in wanted if name not in tensors)
    if missing:
        raise CheckpointError(f"{path}: LPIPS weights are incomplete; {CURE}", missing=missing)
    try:
        # Other tensors in the file are second names of the same weights, or constants.
        distance.load_state_dict({name: tensors[name] for name in wanted})
    except RuntimeError as error:
        raise CheckpointError(f"{path}: holds LPIPS weights of another size; {CURE}") from error
    return distance


def _slice(layers: tuple, pool_px: int) -> nn.ModuleDict:
    return _Chain(
        {
            str(index): nn.MaxPool2d(pool_px, stride=2)
            if shape == "pool"
            else nn.Conv2d(shape[0], shape[1], kernel_size=shape[2], stride=shape[3], padding=shape[4])
            for index, shape in layers
        }
    )


class _Chain(nn.ModuleDict):
    """Applies its layers in order, with a ReLU after each convolution."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        for layer in self.values():
            features = layer(features)
            features = features.relu() if isinstance(layer, nn.Conv2d) else features
        return features


def _unit(features: torch.Tensor) -> torch.Tensor:
    """Returns vectors of length 1 at each position."""
    return features / (features.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)
