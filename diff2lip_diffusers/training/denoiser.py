"""The module that is trained: U-Net and audio encoder together, new or loaded from folders."""

import torch
from torch import nn

from ..hub import load_pipeline
from ..portable.audio_encoder_diff2lip import Diff2LipAudioEncoder
from ..portable.feature_extraction_diff2lip import Diff2LipFeatureExtractor
from ..portable.model_card_diff2lip import license_of
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from ..portable.unet_diff2lip import Diff2LipUNet2DConditionModel
from ..schedulers import original_scheduler
from .audio_encoder_folder import load_audio_encoder
from .config import TrainConfig
from .diffusion import NoisyBatch
from .first_weights import begin_with_copy
from .lora import add_lora
from .model_config import ModelConfig


class Denoiser(nn.Module):
    """U-Net and audio encoder: predicts noise and variance of noisy frames, (N, 6, S, S).

    They are one module, so that several processes average the gradients of both together.

    Args:
        unet: the U-Net.
        audio_encoder: the audio encoder.
        weights_license: license of the weights that it starts with; further training does not change it.
    """

    def __init__(
        self,
        unet: Diff2LipUNet2DConditionModel,
        audio_encoder: Diff2LipAudioEncoder,
        weights_license: str | None = None,
    ):
        super().__init__()
        self.unet, self.audio_encoder, self.weights_license = unet, audio_encoder, weights_license

    def forward(self, batch: NoisyBatch) -> torch.Tensor:
        """Returns the U-Net's output for the frames of a batch."""
        is_frozen = not self.audio_encoder.proj_out.weight.requires_grad
        with torch.set_grad_enabled(torch.is_grad_enabled() and not is_frozen):
            audio_embeds = self.audio_encoder(batch.mel_windows)
        null_embeds = self.audio_encoder.null_embeds
        if null_embeds is not None:
            audio_embeds = torch.where(batch.unheard[:, None], null_embeds, audio_embeds)
        return self.unet(
            batch.noisy, batch.timesteps, batch.masked_frames, batch.references, batch.mask, audio_embeds
        ).sample

    def pipeline(self) -> Diff2LipPipeline:
        """Returns a pipeline that shares these weights."""
        pipe = Diff2LipPipeline(
            self.unet,
            self.audio_encoder,
            Diff2LipFeatureExtractor(),
            original_scheduler(),
            weights_license=self.weights_license,
        )
        pipe.set_progress_bar_config(disable=True)
        return pipe


def make_denoiser(config: TrainConfig) -> Denoiser:
    """Returns the networks that a run starts with, on the CPU in float32; weights that it does not train are frozen.

    Raises:
        Diff2LipError: if a folder cannot be loaded.
        ValueError: if loaded weights have other sizes than the settings.
    """
    if config.init_from is None:
        denoiser = _new_denoiser(config.model or ModelConfig(), config.seed)
    else:
        denoiser = _loaded_denoiser(config.init_from, config.model)
    if config.audio_encoder_from is not None:
        denoiser.audio_encoder = _loaded_audio_encoder(config.audio_encoder_from, denoiser)
    _prepare_null_embeds(denoiser, config.audio_dropout)
    denoiser.train()
    if config.lora is not None:
        add_lora(denoiser.unet, config.lora, config.seed)
    if config.freeze_audio_encoder or config.lora is not None:
        denoiser.audio_encoder.requires_grad_(False).eval()
    if config.gradient_checkpointing:
        denoiser.unet.enable_gradient_checkpointing()
        denoiser.audio_encoder.enable_gradient_checkpointing()
    return denoiser


def _prepare_null_embeds(denoiser: Denoiser, audio_dropout: float) -> None:
    """Adds the embedding of no speech if samples are dropped, at first that of silence; freezes it if none are."""
    encoder = denoiser.audio_encoder
    if audio_dropout and encoder.null_embeds is None:
        encoder.add_null_embeds(denoiser.pipeline().null_audio_embeds())
    elif encoder.null_embeds is not None:
        encoder.null_embeds.requires_grad_(audio_dropout > 0)


def check_size_px(size_px: int, denoiser: Denoiser) -> None:
    """Raises ValueError if the U-Net cannot halve crops of this size at each level."""
    divisor = 2 ** (len(denoiser.unet.config["block_out_channels"]) - 1)
    if size_px % divisor:
        raise ValueError(
            f"`size_px` is {size_px}, expected a multiple of {divisor}, as the U-Net halves it at each level"
        )


def _new_denoiser(model: ModelConfig, seed: int) -> Denoiser:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        unet = Diff2LipUNet2DConditionModel(**_unet_sizes(model))
        begin_with_copy(unet)
        audio_encoder = Diff2LipAudioEncoder(embed_dim=unet.config["time_embedding_dim"], **_audio_sizes(model))
    return Denoiser(unet, audio_encoder)


def _loaded_denoiser(folder: str, model: ModelConfig | None) -> Denoiser:
    pipe = load_pipeline(folder, device="cpu", dtype="fp32")
    unet, audio_encoder = pipe.unet.to(memory_format=torch.contiguous_format), pipe.audio_encoder
    if model is not None:
        _check_sizes(folder, unet, _unet_sizes(model), "model.")
        _check_sizes(folder, audio_encoder, _audio_sizes(model), "model.audio.")
        unet.register_to_config(sample_size=model.sample_size)
    return Denoiser(unet, audio_encoder, license_of(pipe))


def _loaded_audio_encoder(folder: str, denoiser: Denoiser) -> Diff2LipAudioEncoder:
    audio_encoder = load_audio_encoder(folder)
    _check_sizes(folder, audio_encoder, {"embed_dim": denoiser.unet.config["time_embedding_dim"]}, "")
    return audio_encoder


def _check_sizes(folder: str, component: nn.Module, wanted: dict, where: str) -> None:
    for name, value in wanted.items():
        own = getattr(component.config, name)
        own = tuple(own) if isinstance(own, list) else own
        if own != value and name != "sample_size":
            raise ValueError(f"`{where}{name}` is {value}, but the weights in {folder} have {own}")


def _unet_sizes(model: ModelConfig) -> dict:
    return {
        "sample_size": model.sample_size,
        "block_out_channels": model.block_out_channels,
        "down_block_types": tuple(
            "AttnDownBlock2D" if level in model.attention_levels else "ResnetDownsampleBlock2D"
            for level in range(len(model.block_out_channels))
        ),
        "layers_per_block": model.layers_per_block,
        "attention_head_dim": model.attention_head_dim,
        "norm_num_groups": model.norm_num_groups,
    }


def _audio_sizes(model: ModelConfig) -> dict:
    return {
        "input_channels": model.audio.input_channels,
        "block_out_channels": model.audio.block_out_channels,
        "layers_per_block": model.audio.layers_per_block,
        "norm_num_groups": model.audio.norm_num_groups,
    }
