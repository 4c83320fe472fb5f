"""Sizes of a new model, checked."""

from dataclasses import dataclass, field

from .config_checks import check_range


@dataclass(frozen=True)
class AudioConfig:
    """Sizes of a new audio encoder.

    Args:
        input_channels: Channels after the first convolution.
        block_out_channels: Channels per level, four levels; multiples of 4 and of `norm_num_groups`.
        layers_per_block: Residual blocks per level.
        norm_num_groups: Groups of each normalization.
    """

    input_channels: int = 64
    block_out_channels: tuple[int, ...] = (32, 64, 96, 128)
    layers_per_block: int = 2
    norm_num_groups: int = 32

    def __post_init__(self):
        check_range(self, "model.audio.", "norm_num_groups", 1)
        _check_channels("model.audio.block_out_channels", self.block_out_channels, self.norm_num_groups)
        _check_channels("model.audio.input_channels", (self.input_channels,), self.norm_num_groups)
        check_range(self, "model.audio.", "layers_per_block", 1)
        if len(self.block_out_channels) != 4:
            raise ValueError(f"`model.audio.block_out_channels` has {len(self.block_out_channels)} levels, expected 4")


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of a new model.

    Args:
        sample_size: Height and width of the pipeline's crops in pixels.
        block_out_channels: Channels per level, finest first; multiples of 4 and of `norm_num_groups`.
        attention_levels: Levels with self-attention; 0 is the finest.
        layers_per_block: Residual blocks per level.
        attention_head_dim: Channels per attention head.
        norm_num_groups: Groups of each normalization. A group of one channel loses the channel's strength, so narrow
            models predict noise far better with fewer groups.
        audio: Sizes of the audio encoder.
    """

    sample_size: int = 128
    block_out_channels: tuple[int, ...] = (128, 128, 256, 384, 512)
    attention_levels: tuple[int, ...] = (2, 3, 4)
    layers_per_block: int = 2
    attention_head_dim: int = 64
    norm_num_groups: int = 32
    audio: AudioConfig = field(default_factory=AudioConfig)

    def __post_init__(self):
        check_range(self, "model.", "norm_num_groups", 1)
        _check_channels("model.block_out_channels", self.block_out_channels, self.norm_num_groups)
        check_range(self, "model.", "sample_size", 8)
        check_range(self, "model.", "layers_per_block", 1)
        check_range(self, "model.", "attention_head_dim", 1)
        levels = len(self.block_out_channels)
        for level in self.attention_levels:
            if not 0 <= level < levels:
                raise ValueError(f"`model.attention_levels` has {level}, expected levels from 0 to {levels - 1}")
        for level in {*self.attention_levels, levels - 1}:
            if self.block_out_channels[level] % self.attention_head_dim:
                raise ValueError(
                    f"`model.attention_head_dim` is {self.attention_head_dim}, which does not divide the"
                    f" {self.block_out_channels[level]} channels of level {level}"
                )


def _check_channels(name: str, channels: tuple[int, ...], groups: int) -> None:
    if not channels or any(count < 4 or count % 4 or count % groups for count in channels):
        raise ValueError(
            f"`{name}` is {list(channels)}, expected multiples of 4 and of {groups}, the `norm_num_groups`"
        )
