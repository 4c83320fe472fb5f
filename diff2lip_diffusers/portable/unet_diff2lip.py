"""The Diff2Lip U-Net: a pixel-space denoiser that paints the mouth of a face crop from 0.2 s of speech."""

import os
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import register_to_config
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.unets.unet_2d_blocks import (
    AttnDownBlock2D,
    AttnUpBlock2D,
    ResnetDownsampleBlock2D,
    ResnetUpsampleBlock2D,
    UNetMidBlock2D,
)
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel, UNet2DConditionOutput
from diffusers.utils import is_accelerate_available
from torch import nn

# More layers are a mistake, and would fill the memory.
MAX_LAYERS = 100


class FP32GroupNorm(nn.GroupNorm):
    """Group normalization, computed and returned in float32 for weights and inputs of any dtype."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        weight, bias = self.weight.float(), self.bias.float()
        return F.group_norm(hidden_states.float(), self.num_groups, weight, bias, self.eps)


class FP32Conv2d(nn.Conv2d):
    """Convolution, computed and returned in float32 for weights and inputs of any dtype, also within autocast."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        with torch.autocast(hidden_states.device.type, enabled=False):
            bias = None if self.bias is None else self.bias.float()
            return self._conv_forward(hidden_states.float(), self.weight.float(), bias)


class Diff2LipUNet2DConditionModel(UNet2DConditionModel):
    """Denoiser that predicts the noise in the painted half of face crops, given speech and a reference crop.

    The ADM U-Net of the released checkpoint, built from stock diffusers blocks. Letters in shapes: N frames, C image
    channels, H and W the height and width of a crop, both divisible by 2 ** (levels - 1), E `time_embedding_dim`.

    Args:
        sample_size: H and W of the training crops, in pixels.
        in_channels: C. The first convolution gets 3 * C channels: the noisy sample and two crops.
        out_channels: channels of the prediction: C for the noise only, 2 * C for noise and learned variance.
        down_block_types: one block per level, finest first: `"ResnetDownsampleBlock2D"` or, with self-attention,
            `"AttnDownBlock2D"`. The upsampling path mirrors them.
        block_out_channels: channels per level, finest first.
        layers_per_block: residual blocks per level of the downsampling path; the upsampling path has one more.
        attention_head_dim: channels per attention head.
        time_embedding_dim: E, width of the timestep and audio embeddings. None means four times the channels of the
            first level.
        norm_num_groups: groups of every normalization; must divide all channel counts.
        norm_eps: epsilon of every normalization.
        dropout: dropout probability inside residual blocks, in [0, 1).

    Raises:
        ValueError: if a block type is unknown, if two arguments have different numbers of levels, or the layers are
            too many.

    Source: the original program, recorded in `tests/data`; Dhariwal and Nichol 2021 (ADM); Mukhopadhyay et al. 2024
    (Diff2Lip), section 3.
    """

    # The last normalization and convolution decide the accuracy of the predicted noise.
    _keep_in_fp32_modules = ["conv_norm_out", "conv_out"]
    _no_split_modules = ["ResnetBlock2D", "Attention"]
    _repeated_blocks = ["ResnetBlock2D", "Attention"]

    @register_to_config
    def __init__(
        self,
        sample_size: int = 128,
        in_channels: int = 3,
        out_channels: int = 6,
        down_block_types: tuple[str, ...] = (
            "ResnetDownsampleBlock2D",
            "ResnetDownsampleBlock2D",
            "AttnDownBlock2D",
            "AttnDownBlock2D",
            "AttnDownBlock2D",
        ),
        block_out_channels: tuple[int, ...] = (128, 128, 256, 384, 512),
        layers_per_block: int = 2,
        attention_head_dim: int = 64,
        time_embedding_dim: int | None = None,
        norm_num_groups: int = 32,
        norm_eps: float = 1e-5,
        dropout: float = 0.0,
    ):
        # The base constructor has no argument for residual ("resnet") downsampling and upsampling.
        super(UNet2DConditionModel, self).__init__()
        if not 0 < layers_per_block <= MAX_LAYERS:
            raise ValueError(f"`layers_per_block` is {layers_per_block}, expected 1 to {MAX_LAYERS}")
        has_attention = _read_block_types(down_block_types, block_out_channels)
        self.sample_size = sample_size
        embed_dim = time_embedding_dim or 4 * block_out_channels[0]
        self.register_to_config(time_embedding_dim=embed_dim)
        common = {
            "temb_channels": embed_dim,
            "dropout": dropout,
            "resnet_eps": norm_eps,
            "resnet_groups": norm_num_groups,
        }

        self.time_proj = Timesteps(embed_dim // 4, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embedding = TimestepEmbedding(embed_dim // 4, embed_dim)
        self.conv_in = nn.Conv2d(3 * in_channels, block_out_channels[0], kernel_size=3, padding=1)
        levels = (block_out_channels, has_attention, layers_per_block, attention_head_dim)
        self.down_blocks = _down_blocks(*levels, common)
        self.mid_block = UNetMidBlock2D(block_out_channels[-1], attention_head_dim=attention_head_dim, **common)
        self.up_blocks = _up_blocks(*levels, common)
        self.num_upsamplers = len(block_out_channels) - 1
        self.conv_norm_out = FP32GroupNorm(norm_num_groups, block_out_channels[0], eps=norm_eps)
        self.conv_act = nn.SiLU()
        self.conv_out = FP32Conv2d(block_out_channels[0], out_channels, kernel_size=3, padding=1)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike | None, **kwargs) -> Any:
        """Loads the weights, as other models do; `low_cpu_mem_usage=False` works, too, so accelerate is not needed.

        diffusers refuses that for models of which a part stays in float32. So all is loaded in float32, then cast.
        """
        if kwargs.get("low_cpu_mem_usage", is_accelerate_available()):
            return super().from_pretrained(pretrained_model_name_or_path, **kwargs)
        names = [name for name in ("dtype", "torch_dtype") if name in kwargs]
        dtype = [kwargs.pop(name) for name in names][0] if names else None
        plain = type(cls.__name__, (cls,), {"_keep_in_fp32_modules": None, "__module__": cls.__module__})
        # Of the class above this one: this method would be called again.
        model = super(Diff2LipUNet2DConditionModel, plain).from_pretrained(
            pretrained_model_name_or_path, **kwargs | {"low_cpu_mem_usage": False}
        )
        loaded, unused = model if isinstance(model, tuple) else (model, None)
        loaded.__class__ = cls
        for name, parameter in loaded.named_parameters():
            if isinstance(dtype, torch.dtype) and not any(part in name for part in cls._keep_in_fp32_modules):
                parameter.data = parameter.data.to(dtype)
        return loaded if unused is None else (loaded, unused)

    def forward(
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor | float | int,
        masked_frames: torch.Tensor,
        reference_frames: torch.Tensor,
        mask: torch.Tensor,
        audio_embeds: torch.Tensor,
        return_dict: bool = True,
    ) -> UNet2DConditionOutput | tuple[torch.Tensor]:
        """Predicts the noise of a sample. Only the painted part of the sample (mask 1) is used.

        Args:
            sample: (N, C, H, W), the noisy crops, scaled by the scheduler.
            timestep: one number, or a tensor (N,), in [0, 1000).
            masked_frames: (N, C, H, W), the crops in [-1, 1] where the mask is 0, the initial noise where it is 1.
            reference_frames: (N, C, H, W) in [-1, 1], crops that show the person.
            mask: (N or 1, 1, H, W), 1 where the mouth is painted, 0 elsewhere.
            audio_embeds: (N, E), from [`Diff2LipAudioEncoder`].
            return_dict: whether to return a dataclass or a tuple.

        Returns:
            [`~models.unets.unet_2d_condition.UNet2DConditionOutput`] with `sample`: (N, `out_channels`, H, W) in the
            dtype of the input sample. A tuple of it if `return_dict` is False.

        Source: the original program, recorded in `tests/data/tiny_forward.safetensors`.
        """
        blended = mask * sample + (1 - mask) * masked_frames
        hidden_states = torch.cat([blended, masked_frames, reference_frames], dim=1).to(self.dtype)
        temb = self._embed(timestep, audio_embeds, hidden_states)

        hidden_states = self.conv_in(hidden_states)
        residuals = (hidden_states,)
        for block in self.down_blocks:
            hidden_states, block_residuals = block(hidden_states, temb)
            residuals += block_residuals

        hidden_states = self.mid_block(hidden_states, temb)

        for block in self.up_blocks:
            count = len(block.resnets)  # pyright: ignore[reportArgumentType]  # a ModuleList, to torch any module
            hidden_states = block(hidden_states, residuals[-count:], temb)
            residuals = residuals[:-count]

        hidden_states = self.conv_out(self.conv_act(self.conv_norm_out(hidden_states))).to(sample.dtype)
        return UNet2DConditionOutput(sample=hidden_states) if return_dict else (hidden_states,)

    def _embed(
        self, timestep: torch.Tensor | float | int, audio_embeds: torch.Tensor, like: torch.Tensor
    ) -> torch.Tensor:
        if not torch.is_tensor(timestep):
            timestep = torch.full((1,), timestep, dtype=torch.float32, device=like.device)
        timesteps = timestep.to(like.device).reshape(-1).expand(like.shape[0])
        return self.time_embedding(self.time_proj(timesteps).to(like.dtype)) + audio_embeds.to(like.dtype)


def _read_block_types(down_block_types: tuple[str, ...], block_out_channels: tuple[int, ...]) -> list[bool]:
    """Returns for each level whether it has self-attention."""
    known = ("ResnetDownsampleBlock2D", "AttnDownBlock2D")
    unknown = [name for name in down_block_types if name not in known]
    if unknown:
        raise ValueError(f"`down_block_types` has {unknown[0]!r}, known are {', '.join(known)}")
    if len(down_block_types) != len(block_out_channels):
        raise ValueError(
            f"`down_block_types` has {len(down_block_types)} levels, `block_out_channels` {len(block_out_channels)}"
        )
    return [name == "AttnDownBlock2D" for name in down_block_types]


def _down_blocks(
    channels: tuple[int, ...], has_attention: list[bool], layers: int, head_dim: int, common: dict
) -> nn.ModuleList:
    blocks = nn.ModuleList()
    for level, out_channels in enumerate(channels):
        sizes = {"in_channels": channels[max(level - 1, 0)], "out_channels": out_channels, "num_layers": layers}
        resample = level < len(channels) - 1
        if has_attention[level]:
            downsample_type = "resnet" if resample else None
            block = AttnDownBlock2D(
                **sizes,
                **common,
                attention_head_dim=head_dim,
                downsample_type=downsample_type,  # pyright: ignore[reportArgumentType]  # None is allowed
            )
        else:
            block = ResnetDownsampleBlock2D(**sizes, **common, add_downsample=resample)
        blocks.append(block)
    return blocks


def _up_blocks(
    channels: tuple[int, ...], has_attention: list[bool], layers: int, head_dim: int, common: dict
) -> nn.ModuleList:
    blocks = nn.ModuleList()
    for level in reversed(range(len(channels))):
        sizes = {
            "in_channels": channels[max(level - 1, 0)],
            "prev_output_channel": channels[min(level + 1, len(channels) - 1)],
            "out_channels": channels[level],
            "num_layers": layers + 1,
        }
        if has_attention[level]:
            upsample_type = "resnet" if level else None
            block = AttnUpBlock2D(
                **sizes,
                **common,
                attention_head_dim=head_dim,
                upsample_type=upsample_type,  # pyright: ignore[reportArgumentType]  # None is allowed
            )
        else:
            block = ResnetUpsampleBlock2D(**sizes, **common, add_upsample=level > 0)
        blocks.append(block)
    return blocks
