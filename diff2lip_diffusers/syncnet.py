"""SyncNet, a network that measures lip-sync: the similarity of 5 frames of a mouth and 0.2 s of speech.

Letters in shapes: N pairs, S width of a frame, E width of an embedding, M mel steps.
"""

import itertools
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from safetensors import SafetensorError
from torch import nn

from .errors import CheckpointError, MediaError
from .network_building import one_at_a_time
from .original_checkpoint import StateDict, load_checkpoint_file
from .portable.feature_extraction_diff2lip import Diff2LipFeatureExtractor

CONFIG_NAME = "config.json"
SYNC_FRAMES = 5
MEL_BINS, MEL_STEPS = 80, 16
# The smallest input; each doubling adds a layer.
SMALLEST_INPUT_PX = 48
CHANNEL_ORDERS = ("rgb", "bgr")


class ConvBlock(nn.Module):
    """Convolution, batch normalization and ReLU; a residual block adds its input before the ReLU."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        stride: int | tuple[int, int] = 1,
        padding: int = 0,
        residual: bool = False,
    ):
        super().__init__()
        convolution = nn.Conv2d(in_channels, out_channels, kernel, stride, padding)
        self.conv_block = nn.Sequential(convolution, nn.BatchNorm2d(out_channels))
        self.residual = residual

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Maps (N, in_channels, H, W) to (N, out_channels, H', W')."""
        convolved = self.conv_block(hidden_states)
        return F.relu(convolved + hidden_states if self.residual else convolved)


class SyncNet(ModelMixin, ConfigMixin):
    """Embeds mouths and speech as unit vectors, which are near each other if they are in sync.

    With the defaults, layers and names are those of the public Wav2Lip expert; see [`load_wav2lip_expert`].

    Args:
        input_size: S; 48, 96, 192 and so on. Faces are S wide and S / 2 high.
        block_out_channels: channels of the five levels of both encoders, finest first.
        embed_dim: E.
        channel_order: `"rgb"`, or `"bgr"` for weights that were trained on frames as OpenCV reads them.

    Raises:
        ValueError: if an argument has another value.

    Source: Prajwal et al., "A Lip Sync Expert Is All You Need", 2020, section 3; Chung and Zisserman, "Out of time",
        2016.
    """

    @register_to_config
    def __init__(
        self,
        input_size: int = 96,
        block_out_channels: tuple[int, ...] = (32, 64, 128, 256, 512),
        embed_dim: int = 512,
        channel_order: str = "rgb",
    ):
        super().__init__()
        doublings = max(input_size // SMALLEST_INPUT_PX, 1).bit_length() - 1
        if input_size != SMALLEST_INPUT_PX * 2**doublings:
            raise ValueError(f"`input_size` is {input_size}, expected {SMALLEST_INPUT_PX}, 96, 192 or so on")
        if len(block_out_channels) != 5 or min(block_out_channels) < 1:
            raise ValueError(f"`block_out_channels` is {block_out_channels}, expected five numbers above 0")
        if channel_order not in CHANNEL_ORDERS:
            raise ValueError(f"`channel_order` is {channel_order!r}, known are {', '.join(CHANNEL_ORDERS)}")
        self.face_encoder = _face_encoder(block_out_channels, doublings, embed_dim)
        self.audio_encoder = _audio_encoder(block_out_channels, embed_dim)

    def forward(self, faces: torch.Tensor, mel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeds N mouths and N pieces of audio.

        Args:
            faces: (N, 15, S / 2, S) in [0, 1], from [`SyncNet.face_input`].
            mel: (N, 1, 80, 16) in [-4, 4], from [`sync_mel_windows`].

        Returns:
            Two tensors (N, E) of vectors of length 1 without negative elements.

        Raises:
            ValueError: if a tensor has another shape.
        """
        return self.encode_faces(faces), self.encode_mel(mel)

    def encode_faces(self, faces: torch.Tensor) -> torch.Tensor:
        """Maps (N, 15, S / 2, S) to unit vectors (N, E)."""
        width = self.config["input_size"]
        _check_shape("faces", faces, (3 * SYNC_FRAMES, width // 2, width))
        return F.normalize(self.face_encoder(faces.to(self.dtype)).flatten(1))

    def encode_mel(self, mel: torch.Tensor) -> torch.Tensor:
        """Maps (N, 1, 80, 16) to unit vectors (N, E)."""
        _check_shape("mel", mel, (1, MEL_BINS, MEL_STEPS))
        return F.normalize(self.audio_encoder(mel.to(self.dtype)).flatten(1))

    def face_input(self, crops: torch.Tensor) -> torch.Tensor:
        """Returns the `faces` of `forward` for crops (N, 5, 3, H, H) in [-1, 1]; see [`syncnet_input`]."""
        return syncnet_input(crops, self.config["input_size"], self.config["channel_order"])


def syncnet_input(crops: torch.Tensor, input_size: int = 96, channel_order: str = "rgb") -> torch.Tensor:
    """Returns the lower halves of 5 consecutive face crops, stacked.

    Args:
        crops: (N, 5, 3, H, H) RGB in [-1, 1].
        input_size: S.
        channel_order: order of the result, `"rgb"` or `"bgr"`.

    Returns:
        (N, 15, S / 2, S) in [0, 1]: all channels of the first frame, then of the second, and so on.

    Raises:
        ValueError: if `crops` has another shape.
    """
    if crops.ndim != 5 or crops.shape[1:3] != (SYNC_FRAMES, 3):
        raise ValueError(f"`crops` has shape {tuple(crops.shape)}, expected (N, {SYNC_FRAMES}, 3, H, H)")
    frames = crops.flatten(1, 2)
    if frames.shape[-2:] != (input_size, input_size):
        frames = F.interpolate(frames, (input_size, input_size), mode="bilinear", antialias=True)
    lower = frames[:, :, input_size // 2 :].add(1).div(2).clamp(0, 1)
    return lower.unflatten(1, (SYNC_FRAMES, 3)).flip(2).flatten(1, 2) if channel_order == "bgr" else lower


def sync_mel_windows(
    mel: torch.Tensor, frame_indices: Sequence[int], fps: float | Fraction = 25, extractor=None
) -> torch.Tensor:
    """Returns the audio of windows of 5 frames: 16 mel steps from the first frame on.

    Args:
        mel: (80, M), from [`Diff2LipFeatureExtractor`].
        frame_indices: N indices of first frames, from 0.
        fps: frames per second.
        extractor: the extractor that made `mel`; by default one with default settings.

    Returns:
        (N, 1, 80, 16), with silence after the end. The window of frame n starts at step int(80 * n / fps).
    """
    extractor = extractor or Diff2LipFeatureExtractor()
    # The extractor's window of a frame begins one frame earlier.
    return extractor.windows(mel, [index + 1 for index in frame_indices], fps).unsqueeze(1)


def sync_probability(face_embeds: torch.Tensor, audio_embeds: torch.Tensor) -> torch.Tensor:
    """Returns the probability (...) that mouths (..., E) and audio (..., E) are in sync: their cosine similarity."""
    # No element is negative after a ReLU, so only rounding leads out of [0, 1].
    return F.cosine_similarity(face_embeds.float(), audio_embeds.float(), dim=-1).clamp(0, 1)


def sync_loss(
    face_embeds: torch.Tensor, audio_embeds: torch.Tensor, targets: torch.Tensor | float = 1.0
) -> torch.Tensor:
    """Returns the binary cross-entropy of the cosine similarity, a scalar.

    Args:
        face_embeds: (N, E).
        audio_embeds: (N, E).
        targets: (N,), or one number for all: 1 for in sync, 0 for off sync.

    Source: Prajwal et al., 2020, equation 1 and the loss below it.
    """
    probability = sync_probability(face_embeds, audio_embeds)
    wanted = torch.as_tensor(targets, dtype=probability.dtype, device=probability.device).expand_as(probability)
    return F.binary_cross_entropy(probability, wanted)


@one_at_a_time
def load_syncnet(path: str | Path) -> SyncNet:
    """Loads a trained SyncNet from its folder, or from the Wav2Lip expert's file, in evaluation mode.

    Raises:
        MediaError: if there is no such folder or file.
        CheckpointError: if the weights are incomplete or damaged.
    """
    path = Path(path)
    if path.is_file():
        return load_wav2lip_expert(path)
    if not (path / CONFIG_NAME).is_file():
        reason = f"has no {CONFIG_NAME}, expected the folder of a SyncNet" if path.is_dir() else "no such folder"
        raise MediaError(path, f"{reason}; train one with: diff2lip train-syncnet CONFIG.yaml")
    try:
        loaded = SyncNet.from_pretrained(path, local_files_only=True, output_loading_info=True, use_safetensors=True)
        # With the loading info it is a pair, which diffusers' annotation leaves out.
        syncnet, found = loaded  # pyright: ignore[reportGeneralTypeIssues]
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(f"{path}: holds no SyncNet: {' '.join(str(error).split())[:300]}") from error
    if found["missing_keys"] or found["unexpected_keys"]:
        names = (tuple(sorted(found[kind])) for kind in ("missing_keys", "unexpected_keys"))
        raise CheckpointError(f"{path}: is an incomplete SyncNet", *names)
    return syncnet.eval()


def load_wav2lip_expert(path: str | Path) -> SyncNet:
    """Loads the public Wav2Lip expert, in evaluation mode. Its license is its authors', not this project's.

    Args:
        path: file with the tensors, alone or as `state_dict`, with or without `module.` before the names.

    Raises:
        MediaError: if the file is missing.
        CheckpointError: if tensors are missing, unexpected or have another shape.
    """
    content = load_checkpoint_file(path)
    state_dict = content.get("state_dict", content) if isinstance(content, Mapping) else content
    if not isinstance(state_dict, Mapping) or not all(torch.is_tensor(value) for value in state_dict.values()):
        raise CheckpointError(f"{path}: holds no named tensors, so it is not a SyncNet; pass the expert's .pth file")
    tensors = {str(name).removeprefix("module."): value for name, value in state_dict.items()}
    with torch.device("meta"):
        syncnet = SyncNet(channel_order="bgr")
    _check_tensors(path, tensors, syncnet.state_dict())
    syncnet.load_state_dict(tensors, strict=True, assign=True)
    return syncnet.float().requires_grad_(True).eval()


def _check_tensors(path: str | Path, tensors: StateDict, own: StateDict) -> None:
    missing, unexpected = (tuple(sorted(some)) for some in (own.keys() - tensors.keys(), tensors.keys() - own.keys()))
    if missing or unexpected:
        raise CheckpointError(f"{path}: is not the Wav2Lip expert", missing, unexpected)
    for name, tensor in tensors.items():
        if tensor.shape != own[name].shape:
            shapes = f"has shape {tuple(tensor.shape)}, expected {tuple(own[name].shape)}"
            raise CheckpointError(f"{path}: is not the Wav2Lip expert, {name} {shapes}")


def _check_shape(name: str, tensor: torch.Tensor, expected: tuple[int, ...]) -> None:
    if tensor.shape[1:] != expected:
        raise ValueError(f"`{name}` has shape {tuple(tensor.shape)}, expected (N, {', '.join(map(str, expected))})")


def _face_encoder(channels: Sequence[int], doublings: int, embed_dim: int) -> nn.Sequential:
    """Maps (N, 15, S / 2, S) to (N, E, 1, 1)."""
    first, second, *others = channels
    layers = [ConvBlock(3 * SYNC_FRAMES, first, 7, 1, 3), ConvBlock(first, second, 5, (1, 2), 1)]
    layers += _residuals(second, 2)
    for (before, after), residuals in zip(itertools.pairwise([second, *others]), (3, 2, 2), strict=True):
        layers += [ConvBlock(before, after, 3, 2, 1), *_residuals(after, residuals)]
    layers += [ConvBlock(after, after, 3, 2, 1) for _ in range(doublings)]
    return nn.Sequential(*layers, ConvBlock(after, after, 3), ConvBlock(after, embed_dim, 1))


def _audio_encoder(channels: Sequence[int], embed_dim: int) -> nn.Sequential:
    """Maps (N, 1, 80, 16) to (N, E, 1, 1)."""
    layers = [ConvBlock(1, channels[0], 3, 1, 1), *_residuals(channels[0], 2)]
    for (before, after), stride in zip(itertools.pairwise(channels[:-1]), ((3, 1), 3, (3, 2)), strict=True):
        layers += [ConvBlock(before, after, 3, stride, 1), *_residuals(after, 2)]
    return nn.Sequential(*layers, ConvBlock(after, channels[-1], 3), ConvBlock(channels[-1], embed_dim, 1))


def _residuals(channels: int, count: int) -> list[ConvBlock]:
    return [ConvBlock(channels, channels, 3, 1, 1, residual=True) for _ in range(count)]
