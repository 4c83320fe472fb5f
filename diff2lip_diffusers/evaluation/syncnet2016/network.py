"""SyncNet of 2016, the network behind LSE-C and LSE-D in papers: layers, loading and conversion of its weights.

Letters in shapes: N windows of 5 frames or 0.2 s of speech, T frames.
"""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from ...errors import CheckpointError, MediaError
from ...original_checkpoint import StateDict, load_checkpoint_file
from ...output_paths import hidden_folder_beside, writing

FRAME_PX = 224
WINDOW_FRAMES = 5
MFCC_COEFFICIENTS, MFCC_STEPS = 13, 20
EMBED_DIM = 1024
SAFETENSORS = ".safetensors"
BATCH_COUNTERS = "num_batches_tracked"
CURE = "pass the original syncnet_v2.model, or the file that diff2lip convert-syncnet wrote"


class SyncNet2016(nn.Module):
    """Network that embeds 5 video frames, and 0.2 s of speech, near each other where they are in sync.

    The embeddings are not normalized. Module names are those of the original weights.

    Source: Chung and Zisserman, "Out of time: automated lip sync in the wild", 2016; SYNCNET2016 section 1.
    """

    def __init__(self):
        super().__init__()
        self.netcnnlip = nn.Sequential(
            *_convolution3d(3, 96, (5, 7, 7), (1, 2, 2), 0),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_convolution3d(96, 256, (1, 5, 5), (1, 2, 2), (0, 1, 1)),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            *_convolution3d(256, 256, (1, 3, 3), 1, (0, 1, 1)),
            *_convolution3d(256, 256, (1, 3, 3), 1, (0, 1, 1)),
            *_convolution3d(256, 256, (1, 3, 3), 1, (0, 1, 1)),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_convolution3d(256, 512, (1, 6, 6), 1, 0),
        )
        self.netcnnaud = nn.Sequential(
            *_convolution2d(1, 64, 3, 1, 1),
            nn.MaxPool2d(1, 1),
            *_convolution2d(64, 192, 3, 1, 1),
            nn.MaxPool2d(3, (1, 2)),
            *_convolution2d(192, 384, 3, 1, 1),
            *_convolution2d(384, 256, 3, 1, 1),
            *_convolution2d(256, 256, 3, 1, 1),
            nn.MaxPool2d(3, 2),
            *_convolution2d(256, 512, (5, 4), 1, 0),
        )
        self.netfclip = _head()
        self.netfcaud = _head()

    def embed_frames(self, frames: torch.Tensor) -> torch.Tensor:
        """Embeds every window of 5 successive frames.

        Only the first convolution spans several frames, so it runs along the whole stretch at once.

        Args:
            frames: (T, 224, 224, 3) BGR in [0, 255], uint8 or float, T being 5 or more.

        Returns:
            (T - 4, 1024): row i is the window of frames i to i + 4.

        Raises:
            ValueError: if the shape is another.
        """
        if frames.ndim != 4 or frames.shape[1:] != (FRAME_PX, FRAME_PX, 3) or len(frames) < WINDOW_FRAMES:
            expected = f"(T, {FRAME_PX}, {FRAME_PX}, 3), T {WINDOW_FRAMES} or more"
            raise ValueError(f"`frames` has shape {tuple(frames.shape)}, expected {expected}")
        features = self.netcnnlip(frames.movedim(-1, 0)[None].float())
        return self.netfclip(features[0, :, :, 0, 0].T)

    def embed_speech(self, mfcc: torch.Tensor) -> torch.Tensor:
        """Embeds windows of speech.

        Args:
            mfcc: (N, 1, 13, 20), from [`mfcc`], coefficients before time.

        Returns:
            (N, 1024).

        Raises:
            ValueError: if the shape is another.
        """
        if mfcc.ndim != 4 or mfcc.shape[1:] != (1, MFCC_COEFFICIENTS, MFCC_STEPS):
            expected = f"(N, 1, {MFCC_COEFFICIENTS}, {MFCC_STEPS})"
            raise ValueError(f"`mfcc` has shape {tuple(mfcc.shape)}, expected {expected}")
        return self.netfcaud(self.netcnnaud(mfcc).flatten(1))


def load_syncnet2016(path: str | Path) -> SyncNet2016:
    """Returns the network with trained weights, in evaluation mode on the CPU, float32.

    The weights are not part of this package. Their authors offer them on the lip-sync page of Oxford's Visual
    Geometry Group.

    Args:
        path: the original `syncnet_v2.model`, or the file that [`convert_syncnet`] wrote. Files that hold code are
            refused.

    Raises:
        MediaError: if the file is missing.
        CheckpointError: if it cannot be read safely, or tensors are missing, unexpected or of another shape.
    """
    tensors = _read_tensors(path)
    with torch.device("meta"):
        syncnet = SyncNet2016()
    # Files of old PyTorch have no counters of batches, which evaluation doesn't use.
    counters = [name for name in syncnet.state_dict() if name.endswith(BATCH_COUNTERS)]
    tensors |= {name: torch.zeros((), dtype=torch.long) for name in counters}
    for name, tensor in tensors.items():
        if tensor.ndim == 5:  # saves a CPU a third of the time
            tensors[name] = tensor.contiguous(memory_format=torch.channels_last_3d)
    syncnet.load_state_dict(tensors, strict=True, assign=True)
    return syncnet.requires_grad_(False).eval()


def convert_syncnet(path: str | Path, output: str | Path) -> Path:
    """Writes the weights as safetensors, which cannot hold code.

    Args:
        path: as for [`load_syncnet2016`].
        output: file to write, its name ending in `.safetensors`. It appears when it is complete.

    Returns:
        `output`.

    Raises:
        MediaError: if the source is missing, or `output` cannot be written.
        CheckpointError: as [`load_syncnet2016`].
    """
    output = Path(output)
    if output.suffix != SAFETENSORS:
        raise MediaError(output, f"ends in {output.suffix or 'no suffix'}; end its name in {SAFETENSORS}")
    if output.is_dir():
        raise MediaError(output, "is a folder; name a file in it")
    tensors = _read_tensors(path)
    with writing(output), hidden_folder_beside(output) as hidden:
        unfinished = Path(hidden) / output.name
        save_file(tensors, unfinished, metadata={"format": "pt", "network": "SyncNet 2016 (syncnet_v2)"})
        unfinished.chmod(0o644)
        unfinished.replace(output)
    return output


def tensor_shapes() -> dict[str, tuple[int, ...]]:
    """Returns names and shapes of the 88 tensors of the original weights.

    Source: SYNCNET2016 section 1.
    """
    with torch.device("meta"):
        own = SyncNet2016().state_dict()
    return {name: tuple(tensor.shape) for name, tensor in own.items() if not name.endswith(BATCH_COUNTERS)}


def _convolution3d(inputs: int, outputs: int, kernel, stride, padding) -> list[nn.Module]:
    return [nn.Conv3d(inputs, outputs, kernel, stride, padding), nn.BatchNorm3d(outputs), nn.ReLU(inplace=True)]


def _convolution2d(inputs: int, outputs: int, kernel, stride, padding) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, stride, padding), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


def _head() -> nn.Sequential:
    return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, EMBED_DIM))


def _read_tensors(path: str | Path) -> StateDict:
    """The 88 tensors of a file, checked, contiguous float32."""
    content = _read_safetensors(Path(path)) if _is_safetensors(Path(path)) else _read_pickle(path)
    if not isinstance(content, dict) or not all(torch.is_tensor(value) for value in content.values()):
        raise CheckpointError(f"{path}: holds no named tensors, so it is no SyncNet of 2016; {CURE}")
    tensors = {str(name): value for name, value in content.items() if not str(name).endswith(BATCH_COUNTERS)}
    expected = tensor_shapes()
    missing, unexpected = (
        tuple(sorted(names)) for names in (expected.keys() - tensors.keys(), tensors.keys() - expected.keys())
    )
    if missing or unexpected:
        raise CheckpointError(f"{path}: is no SyncNet of 2016; {CURE}", missing, unexpected)
    for name, shape in expected.items():
        if tuple(tensors[name].shape) != shape:
            found = f"{name} has shape {tuple(tensors[name].shape)}, expected {shape}"
            raise CheckpointError(f"{path}: is no SyncNet of 2016, {found}; {CURE}")
    return {name: tensors[name].detach().float().contiguous() for name in expected}


def _is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors do: eight bytes, then JSON."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _read_safetensors(path: Path) -> object:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f"{path}: cannot be read, truncated or not safetensors ({error}); {CURE}") from error


def _read_pickle(path: str | Path) -> object:
    try:
        return load_checkpoint_file(path)
    except CheckpointError as error:
        raise CheckpointError(f"{error}; {CURE}") from error
