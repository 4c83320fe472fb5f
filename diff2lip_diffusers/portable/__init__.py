"""The portable files: networks, feature extractor and pipeline, which a Hub repository can carry.

They import none of our other files and touch no media files. All names end in `_diff2lip`: diffusers copies the files
of all repositories to one flat folder.
"""

from transformers import AutoFeatureExtractor, PreTrainedConfig

from .audio_encoder_diff2lip import Diff2LipAudioEncoder
from .feature_extraction_diff2lip import Diff2LipFeatureExtractor
from .pipeline_diff2lip import Diff2LipPipeline
from .unet_diff2lip import Diff2LipUNet2DConditionModel

# A saved pipeline records the module of each component. Saved folders keep loading because that name never changes.
for public in (Diff2LipAudioEncoder, Diff2LipFeatureExtractor, Diff2LipPipeline, Diff2LipUNet2DConditionModel):
    public.__module__ = __name__.partition(".")[0]
# `from_pipe` passes a component on only if the signature names the exact class.
Diff2LipPipeline.__init__.__annotations__.update(unet=Diff2LipUNet2DConditionModel, audio_encoder=Diff2LipAudioEncoder)


class _NoTransformersModel(PreTrainedConfig):
    """`AutoFeatureExtractor` finds extractors by the configuration of a model, which ours has none of."""

    model_type = "diff2lip"


AutoFeatureExtractor.register(_NoTransformersModel, Diff2LipFeatureExtractor, exist_ok=True)
