"""Networks of the right kind with made-up weights, as files, for measures that need them."""

import warnings
from pathlib import Path

import torch

from diff2lip_diffusers.evaluation.measures.inception import InceptionFeatures
from diff2lip_diffusers.evaluation.perceptual import ALEX, PerceptualDistance

from .recorded_inception import made_up_weight


class MeansOfVideo(torch.nn.Module):
    """Takes what I3D takes, and gives the mean of each color in each frame: 3 x 16 numbers."""

    def forward(self, x: torch.Tensor, rescale: bool = True, resize: bool = True, return_features: bool = False):
        assert not rescale and not resize and return_features
        return x.mean(dim=(3, 4)).flatten(1)


def write_i3d(path: Path) -> Path:
    """Writes a TorchScript file with `MeansOfVideo`."""
    with warnings.catch_warnings(action="ignore"):
        torch.jit.save(torch.jit.script(MeansOfVideo()), path)
    return path


def write_inception(path: Path) -> Path:
    """Writes weights of Inception that `made_up_weight` gives."""
    shapes = {name: tuple(tensor.shape) for name, tensor in InceptionFeatures().state_dict().items() if tensor.dim()}
    torch.save({name: torch.from_numpy(made_up_weight(name, shape)) for name, shape in shapes.items()}, path)
    return path


def write_lpips(path: Path) -> Path:
    """Writes random weights of LPIPS with AlexNet; distances are positive."""
    torch.manual_seed(0)
    distance = PerceptualDistance(ALEX, 3)
    for number in range(5):
        distance.get_submodule(f"lin{number}.model.1").weight.data.abs_()
    torch.save(distance.state_dict(), path)
    return path
