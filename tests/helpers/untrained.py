"""A small pipeline of the released architecture with random weights."""

import torch

from diff2lip_diffusers.portable.audio_encoder_diff2lip import Diff2LipAudioEncoder
from diff2lip_diffusers.portable.feature_extraction_diff2lip import Diff2LipFeatureExtractor
from diff2lip_diffusers.portable.pipeline_diff2lip import Diff2LipPipeline
from diff2lip_diffusers.portable.unet_diff2lip import Diff2LipUNet2DConditionModel
from diff2lip_diffusers.schedulers import make_scheduler, original_scheduler


def untrained_pipeline(sample_size: int = 64, seed: int = 0) -> Diff2LipPipeline:
    """A pipeline of the released architecture, a fraction of its size, with random weights.

    Args:
        sample_size: height and width of its crops in pixels, divisible by 8.
        seed: decides the weights.
    """
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        unet = Diff2LipUNet2DConditionModel(
            sample_size=sample_size,
            block_out_channels=(32, 32, 64, 64),
            down_block_types=(*["ResnetDownsampleBlock2D"] * 2, *["AttnDownBlock2D"] * 2),
            layers_per_block=1,
            attention_head_dim=16,
        )
        audio_encoder = Diff2LipAudioEncoder(embed_dim=unet.config.time_embedding_dim)
    pipe = Diff2LipPipeline(
        unet.eval(),
        audio_encoder.eval(),
        Diff2LipFeatureExtractor(),
        make_scheduler("dpmsolver++", original_scheduler().config),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe
