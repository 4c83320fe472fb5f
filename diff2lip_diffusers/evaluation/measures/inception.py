"""The Inception network behind FID and KID, and loading of its weights.

It computes what `FeatureExtractorInceptionV3` of torch-fidelity 0.4.0 (Apache-2.0) computes, layer by layer, with the
same names of weights; that package is not needed. Its file of weights is an argument and not part of this project.
"""

import hashlib
import logging
from functools import cache
from multiprocessing import parent_process
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from ...errors import CheckpointError, MediaError
from ...original_checkpoint import load_checkpoint_file

logger = logging.getLogger(__name__)

INPUT_PX = 299
NUM_FEATURES = 2048
FILE_NAME = "weights-inception-2015-12-05-6726825d.pth"
SHA256_START = "6726825d"
CURE = f"name {FILE_NAME}, which torch-fidelity's releases offer (--inception)"

# One unit: name, channels, kernel (height, width), stride. Units with stride 1 keep the size, others have no padding.
Kernel = int | tuple[int, int]
Unit = tuple[str, int, Kernel, int]


def _unit(name: str, channels: int, kernel: Kernel, stride: int = 1) -> Unit:
    return name, channels, kernel, stride


def _block_35(pool_channels: int) -> list[list]:
    """Branches of a block at 35 x 35 positions."""
    return [
        [_unit("branch1x1", 64, 1)],
        [_unit("branch5x5_1", 48, 1), _unit("branch5x5_2", 64, 5)],
        [_unit("branch3x3dbl_1", 64, 1), _unit("branch3x3dbl_2", 96, 3), _unit("branch3x3dbl_3", 96, 3)],
        ["average", _unit("branch_pool", pool_channels, 1)],
    ]


def _block_17(inner: int) -> list[list]:
    """Branches of a block at 17 x 17 positions."""
    down, across = (7, 1), (1, 7)
    long = [("branch7x7dbl_2", inner, down), ("branch7x7dbl_3", inner, across), ("branch7x7dbl_4", inner, down)]
    return [
        [_unit("branch1x1", 192, 1)],
        [_unit("branch7x7_1", inner, 1), _unit("branch7x7_2", inner, across), _unit("branch7x7_3", 192, down)],
        [_unit("branch7x7dbl_1", inner, 1), *(_unit(*one) for one in long), _unit("branch7x7dbl_5", 192, across)],
        ["average", _unit("branch_pool", 192, 1)],
    ]


def _block_8(pooling: str) -> list[list]:
    """Branches of a block at 8 x 8 positions; two of them fork at their end."""
    across, down = (1, 3), (3, 1)
    fork = [_unit("branch3x3_2a", 384, across), _unit("branch3x3_2b", 384, down)]
    long_fork = [_unit("branch3x3dbl_3a", 384, across), _unit("branch3x3dbl_3b", 384, down)]
    return [
        [_unit("branch1x1", 320, 1)],
        [_unit("branch3x3_1", 384, 1), fork],
        [_unit("branch3x3dbl_1", 448, 1), _unit("branch3x3dbl_2", 384, 3), long_fork],
        [pooling, _unit("branch_pool", 192, 1)],
    ]


TO_17 = [
    [_unit("branch3x3", 384, 3, 2)],
    [_unit("branch3x3dbl_1", 64, 1), _unit("branch3x3dbl_2", 96, 3), _unit("branch3x3dbl_3", 96, 3, 2)],
    ["shrink"],
]
TO_8 = [
    [_unit("branch3x3_1", 192, 1), _unit("branch3x3_2", 320, 3, 2)],
    [
        _unit("branch7x7x3_1", 192, 1),
        _unit("branch7x7x3_2", 192, (1, 7)),
        _unit("branch7x7x3_3", 192, (7, 1)),
        _unit("branch7x7x3_4", 192, 3, 2),
    ],
    ["shrink"],
]
# Name, channels that come in, branches. The last block takes the maximum: an oddity of the network of 2015.
BLOCKS = [
    ("Mixed_5b", 192, _block_35(32)),
    ("Mixed_5c", 256, _block_35(64)),
    ("Mixed_5d", 288, _block_35(64)),
    ("Mixed_6a", 288, TO_17),
    ("Mixed_6b", 768, _block_17(128)),
    ("Mixed_6c", 768, _block_17(160)),
    ("Mixed_6d", 768, _block_17(160)),
    ("Mixed_6e", 768, _block_17(192)),
    ("Mixed_7a", 768, TO_8),
    ("Mixed_7b", 1280, _block_8("average")),
    ("Mixed_7c", 2048, _block_8("maximum")),
]
POOLINGS = {
    "average": lambda features: F.avg_pool2d(features, 3, stride=1, padding=1, count_include_pad=False),
    "maximum": lambda features: F.max_pool2d(features, 3, stride=1, padding=1),
    "shrink": lambda features: F.max_pool2d(features, 3, stride=2),
}


class InceptionFeatures(nn.Module):
    """Features (N, 2048) float32 of images (N, 3, H, W) uint8 RGB: the means of the last block over all positions.

    Source: Szegedy et al. 2016 (Inception v3); the TensorFlow graph of 2015-12-05, as torch-fidelity 0.4.0 has it.
    """

    def __init__(self):
        super().__init__()
        self.Conv2d_1a_3x3 = _Convolution(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = _Convolution(32, 32, 3)
        self.Conv2d_2b_3x3 = _Convolution(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = _Convolution(64, 80, 1)
        self.Conv2d_4a_3x3 = _Convolution(80, 192, 3)
        for name, channels, branches in BLOCKS:
            self.add_module(name, _Block(channels, branches))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Returns the features."""
        features = (resize_as_tensorflow1(images.float(), INPUT_PX) - 128) / 128
        features = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(features)))
        features = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(POOLINGS["shrink"](features)))
        features = POOLINGS["shrink"](features)
        for name, _, _ in BLOCKS:
            features = self.get_submodule(name)(features)
        return features.mean(dim=(2, 3))


class _Convolution(nn.Module):
    """Convolution, normalization by stored statistics, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: Kernel, stride: int = 1, padding: Kernel = 0):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return F.relu(self.bn(self.conv(features)), inplace=True)


class _Block(nn.Module):
    """Branches side by side, concatenated."""

    def __init__(self, inputs: int, branches: list[list]):
        super().__init__()
        self._branches = branches
        for branch in branches:
            channels = inputs
            for step in branch:
                if not isinstance(step, str):
                    channels = self._add(channels, step if isinstance(step, list) else [step])

    def _add(self, inputs: int, units: list[Unit]) -> int:
        """Adds units that see the same input."""
        for name, channels, kernel, stride in units:
            height, width = kernel if isinstance(kernel, tuple) else (kernel, kernel)
            padding = (height // 2, width // 2) if stride == 1 else 0
            self.add_module(name, _Convolution(inputs, channels, kernel, stride, padding))
        return sum(unit[1] for unit in units)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return torch.cat([self._branch(features, branch) for branch in self._branches], dim=1)

    def _branch(self, features: torch.Tensor, branch: list) -> torch.Tensor:
        for step in branch:
            if isinstance(step, str):
                features = POOLINGS[step](features)
            else:
                units = step if isinstance(step, list) else [step]
                features = torch.cat([self.get_submodule(unit[0])(features) for unit in units], dim=1)
        return features


def resize_as_tensorflow1(images: torch.Tensor, size_px: int) -> torch.Tensor:
    """Returns images (N, C, S, S) of images (N, C, H, W), bilinear between the pixels at i · H / S and the next.

    Pixels are points at their upper left corner, and nothing is smoothed before, as in TensorFlow 1.x with
    `align_corners=False`. The result is that of `interpolate_bilinear_2d_like_tensorflow1x` of torch-fidelity.
    """
    for dim in (3, 2):
        length = images.shape[dim]
        places = torch.arange(size_px, dtype=torch.float32, device=images.device) * (length / size_px)
        low = places.long()
        rest = (places - low).view(-1, *[1] * (3 - dim))
        first = images.index_select(dim, low)
        images = first + (images.index_select(dim, (low + 1).clamp_max(length - 1)) - first) * rest
    return images


def load_inception(path: str | Path, device: torch.device | str = "cpu") -> InceptionFeatures:
    """Returns the network with frozen weights.

    Args:
        path: `weights-inception-2015-12-05-6726825d.pth`, or its tensors as safetensors.
        device: where it computes.

    Raises:
        MediaError: if the file is missing.
        CheckpointError: if it holds other weights.
    """
    path = Path(path)
    tensors = _read(path)
    network = InceptionFeatures()
    wanted = {name: tensor for name, tensor in network.state_dict().items() if not _is_needless(name)}
    missing = tuple(name for name in wanted if name not in tensors)
    unexpected = tuple(name for name in tensors if name not in wanted and not _is_needless(name))
    if missing or unexpected:
        raise CheckpointError(f"{path}: is no Inception network of 2015-12-05; {CURE}", missing, unexpected)
    for name, tensor in wanted.items():
        if tensors[name].shape != tensor.shape:
            found = f"{name} has the shape {tuple(tensors[name].shape)}, expected {tuple(tensor.shape)}"
            raise CheckpointError(f"{path}: is no Inception network of 2015-12-05, {found}; {CURE}")
    network.load_state_dict({name: tensors[name] for name in wanted}, strict=False)
    _note_another_file(path)
    return network.to(device).requires_grad_(False).eval()


def _read(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise MediaError(path, f"no such file; {CURE}")
    try:
        tensors = load_file(path) if path.suffix == ".safetensors" else load_checkpoint_file(path)
    except (OSError, SafetensorError, CheckpointError) as error:
        raise CheckpointError(f"{path}: cannot be read as weights of Inception; {CURE}") from error
    if not isinstance(tensors, dict) or not all(torch.is_tensor(tensor) for tensor in tensors.values()):
        raise CheckpointError(f"{path}: holds no named tensors, so it is no Inception network; {CURE}")
    return tensors


def _is_needless(name: str) -> bool:
    """Counters of training, and the classes behind the features."""
    return name.endswith("num_batches_tracked") or name.startswith("fc.")


@cache
def _note_another_file(path: Path) -> None:
    """Says once, in the main process, that the weights are not those of papers."""
    if parent_process() is not None or path.suffix == ".safetensors":
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()[: len(SHA256_START)]
    if found != SHA256_START:
        logger.warning(
            "%s: its SHA-256 begins with %s, not %s: not the usual weights, so FID compares with no paper",
            path,
            found,
            SHA256_START,
        )
