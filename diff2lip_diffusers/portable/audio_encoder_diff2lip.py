"""The Diff2Lip audio encoder: turns a mel window of 0.2 s of speech into one embedding for the U-Net."""

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.embeddings import TimestepEmbedding, get_timestep_embedding
from diffusers.models.modeling_utils import ModelMixin
from diffusers.models.resnet import ResnetBlock2D
from torch import nn

# More layers are a mistake, and would fill the memory.
MAX_LAYERS = 100


class Diff2LipAudioEncoder(ModelMixin, ConfigMixin):
    """Encoder of mel windows: one audio embedding per frame, the same for all diffusion steps and images.

    Args:
        num_mel_bins: mel bins per window.
        embed_dim: E, width of an embedding; equals `time_embedding_dim` of the U-Net.
        input_channels: channels after the first convolution, which runs over time. They become the rows of an image
            with one channel.
        block_out_channels: channels per level, finest first.
        downsample_strides: (rows, time steps) pooled between two levels; one pair less than there are levels.
        layers_per_block: residual blocks per level.
        norm_num_groups: groups of every normalization; must divide all channel counts.
        norm_eps: epsilon of every normalization.
        has_null_embeds: whether there is a learned embedding that stands for no speech, for guidance.

    Attributes:
        null_embeds: (1, E), the embedding that stands for no speech, or None.

    Raises:
        ValueError: if the number of strides is not the number of levels minus one, or the layers are too many.

    Source: the original program, recorded in `tests/data/tiny_forward.safetensors`.
    """

    _supports_gradient_checkpointing = True
    _no_split_modules = ["ResnetBlock2D"]

    @register_to_config
    def __init__(
        self,
        num_mel_bins: int = 80,
        embed_dim: int = 512,
        input_channels: int = 64,
        block_out_channels: tuple[int, ...] = (32, 64, 96, 128),
        downsample_strides: tuple[tuple[int, int], ...] = ((2, 1), (2, 1), (2, 2)),
        layers_per_block: int = 2,
        norm_num_groups: int = 32,
        norm_eps: float = 1e-5,
        has_null_embeds: bool = False,
    ):
        super().__init__()
        if not 0 < layers_per_block <= MAX_LAYERS:
            raise ValueError(f"`layers_per_block` is {layers_per_block}, expected 1 to {MAX_LAYERS}")
        if len(downsample_strides) != len(block_out_channels) - 1:
            raise ValueError(
                f"`downsample_strides` has {len(downsample_strides)} pairs, {len(block_out_channels)} levels in"
                f" `block_out_channels` need {len(block_out_channels) - 1}"
            )
        for stride in downsample_strides:
            if len(stride) != 2 or not all(isinstance(step, int) and step > 0 for step in stride):
                raise ValueError(f"`downsample_strides` has {stride}, expected two whole numbers from 1 on")
        base = block_out_channels[0]
        common = {"temb_channels": base, "groups": norm_num_groups, "eps": norm_eps}

        self.time_embedding = TimestepEmbedding(base, base)
        self.mel_conv = nn.Conv1d(num_mel_bins, input_channels, kernel_size=3, padding=1)
        self.mel_norm = nn.GroupNorm(norm_num_groups, input_channels, eps=norm_eps)
        self.conv_in = nn.Conv2d(1, base, kernel_size=3, padding=1)
        self.resnets = _resnets(block_out_channels, downsample_strides, layers_per_block, common)
        self.mid_resnet = ResnetBlock2D(in_channels=block_out_channels[-1], **common)
        self.norm_out = nn.GroupNorm(norm_num_groups, block_out_channels[-1], eps=norm_eps)
        self.act = nn.SiLU()
        self.proj_out = nn.Conv2d(block_out_channels[-1], embed_dim, kernel_size=1)
        self.null_embeds = nn.Parameter(torch.zeros(1, embed_dim)) if has_null_embeds else None
        self.gradient_checkpointing = False

    def forward(self, mel_windows: torch.Tensor) -> torch.Tensor:
        """Encodes one mel window per frame.

        Args:
            mel_windows: (N, 80, 16), 16 steps of 80 mel bins in [-4, 4], from [`Diff2LipFeatureExtractor`].

        Returns:
            (N, E), in the dtype of the weights.
        """
        hidden_states = self.mel_conv(mel_windows.to(self.dtype))
        hidden_states = self.conv_in(self.act(self.mel_norm(hidden_states)).unsqueeze(1))

        temb = self._constant_embedding(hidden_states)
        for resnet in [*self.resnets, self.mid_resnet]:
            if torch.is_grad_enabled() and self.gradient_checkpointing:
                # diffusers sets the function together with the switch.
                hidden_states = self._gradient_checkpointing_func(  # pyright: ignore[reportOptionalCall]
                    resnet, hidden_states, temb
                )
            else:
                hidden_states = resnet(hidden_states, temb)

        pooled = self.act(self.norm_out(hidden_states)).mean(dim=(2, 3), keepdim=True)
        return self.proj_out(pooled).flatten(1)

    def add_null_embeds(self, null_embeds: torch.Tensor) -> None:
        """Stores an embedding (1, E) that stands for no speech, with the weights and in the configuration."""
        self.register_to_config(has_null_embeds=True)
        self.null_embeds = nn.Parameter(null_embeds.detach().clone())

    def _constant_embedding(self, like: torch.Tensor) -> torch.Tensor:
        """The embedding of timestep 0, (1, base channels): the residual blocks need one, whatever its value."""
        zero = torch.zeros(1, device=like.device)
        sinusoids = get_timestep_embedding(
            zero, self.config["block_out_channels"][0], flip_sin_to_cos=True, downscale_freq_shift=0
        )
        return self.time_embedding(sinusoids.to(like.dtype))


def _resnets(
    channels: tuple[int, ...], strides: tuple[tuple[int, int], ...], layers: int, common: dict
) -> nn.ModuleList:
    """Residual blocks in the order of execution, with a pooling block between two levels."""
    resnets = nn.ModuleList()
    previous = channels[0]
    for level, out_channels in enumerate(channels):
        for _ in range(layers):
            resnets.append(ResnetBlock2D(in_channels=previous, out_channels=out_channels, **common))
            previous = out_channels
        if level < len(strides):
            resnets.append(_pooling_resnet(out_channels, strides[level], common))
    return resnets


def _pooling_resnet(channels: int, stride: tuple[int, int], common: dict) -> ResnetBlock2D:
    """A stock downsampling residual block, with a pooling stride per axis."""
    resnet = ResnetBlock2D(in_channels=channels, down=True, **common)
    rows, steps = stride  # a list where the configuration was read from a file
    resnet.downsample = nn.AvgPool2d(kernel_size=(rows, steps))
    return resnet
