"""The pipeline as blocks for diffusers' `ModularPipeline`: to exchange, reuse or repeat its steps one by one.

```py
>>> blocks = Diff2LipBlocks()
>>> pipe = blocks.init_pipeline("path/of/a/model/folder")
>>> pipe.load_components()
>>> frames = pipe(frames=face_crops, audio=waveform, sampling_rate=16000, output="painted_frames")
```
"""

from typing import Any

import torch
from diffusers import DDIMScheduler
from diffusers.modular_pipelines import ModularPipelineBlocks, PipelineState, SequentialPipelineBlocks
from diffusers.modular_pipelines.modular_pipeline_utils import ComponentSpec, ConfigSpec, InputParam, OutputParam

from .audio_encoder_diff2lip import Diff2LipAudioEncoder
from .feature_extraction_diff2lip import Diff2LipFeatureExtractor
from .frames_diff2lip import one_or_each, tensor_to_frames
from .pipeline_diff2lip import Diff2LipPipeline
from .unet_diff2lip import Diff2LipUNet2DConditionModel

COMPONENTS = {
    "unet": Diff2LipUNet2DConditionModel,
    "audio_encoder": Diff2LipAudioEncoder,
    "feature_extractor": Diff2LipFeatureExtractor,
    "scheduler": DDIMScheduler,
}
CONFIG = {"default_num_inference_steps": 25, "painted_fraction": 0.5, "default_guidance_scale": 1.0}


class _Block(ModularPipelineBlocks):
    """A step of the pipeline, which does its work."""

    model_name = "diff2lip"
    needed: tuple[str, ...] = ("unet",)
    takes: tuple[InputParam, ...] = ()
    gives: tuple[OutputParam, ...] = ()

    @property
    def description(self) -> str:
        return (type(self).__doc__ or "").partition("\n")[0]

    @property
    def expected_components(self) -> list[ComponentSpec]:
        return [ComponentSpec(name, COMPONENTS[name]) for name in self.needed]

    @property
    def expected_configs(self) -> list[ConfigSpec]:
        return [ConfigSpec(name, default) for name, default in CONFIG.items()]

    @property
    def inputs(self) -> list[InputParam]:
        return list(self.takes)

    @property
    def intermediate_outputs(self) -> list[OutputParam]:
        return list(self.gives)

    @torch.no_grad()
    def __call__(self, components: Any, state: PipelineState) -> tuple[Any, PipelineState]:
        parts = {name: getattr(components, name, None) for name in COMPONENTS}
        config = {name: getattr(components.config, name, default) for name, default in CONFIG.items()}
        pipe = Diff2LipPipeline(**parts, **config)
        pipe.set_progress_bar_config(**getattr(components, "_progress_bar_config", {}))
        block = self.get_block_state(state)
        self.run(pipe, block)
        self.set_block_state(state, block)  # pyright: ignore[reportArgumentType]  # as get_block_state returns it
        return components, state

    def run(self, pipe: Diff2LipPipeline, block: Any) -> None:
        """Sets the outputs of the block."""
        raise NotImplementedError


class Diff2LipFramesStep(_Block):
    """Takes face crops of any form to tensors of the model's size."""

    takes = (
        InputParam("frames", required=True, description="N face crops, as the pipeline takes them"),
        InputParam("reference_frames", description="N crops, or one, that show the person; the frames by default"),
    )
    gives = (
        OutputParam("crops", torch.Tensor, "(N, 3, S, S) in [0, 1]"),
        OutputParam("references", torch.Tensor, "(N, 3, S, S) in [0, 1]"),
    )

    def run(self, pipe: Diff2LipPipeline, block: Any) -> None:
        block.crops = references = pipe.prepare_frames(block.frames, "frames")
        if block.reference_frames is not None:
            references = pipe.prepare_frames(block.reference_frames, "reference_frames")
        block.references = one_or_each(references, len(block.crops), "reference_frames")


class Diff2LipSpeechStep(_Block):
    """Encodes the speech of each frame."""

    needed = ("unet", "audio_encoder", "feature_extractor")
    takes = (
        InputParam("crops", required=True),
        InputParam("audio", description="speech; or `mel_windows`"),
        InputParam("sampling_rate", int, description="of the audio, in Hz"),
        InputParam("fps", float, description="frames per second"),
        InputParam("mel_windows", torch.Tensor, description="(N, 80, 16), instead of `audio`"),
        InputParam("batch_size", int, description="frames at a time"),
    )
    gives = (OutputParam("audio_embeds", torch.Tensor, "(N, E)"),)

    def run(self, pipe: Diff2LipPipeline, block: Any) -> None:
        block.audio_embeds = pipe.encode_audio(
            len(block.crops),
            block.audio,
            block.sampling_rate,
            block.fps,
            block.mel_windows,
            batch_size=block.batch_size,
        )


class Diff2LipNoiseStep(_Block):
    """Draws the noise that all frames share."""

    takes = (
        InputParam("crops", required=True),
        InputParam("generator", description="makes the result repeatable"),
        InputParam("latents", torch.Tensor, description="noise instead of drawn noise"),
    )
    gives = (OutputParam("latents", torch.Tensor, "(N, 3, S, S)"),)

    def run(self, pipe: Diff2LipPipeline, block: Any) -> None:
        block.latents = pipe.prepare_latents(len(block.crops), block.generator, block.latents)


class Diff2LipDenoiseStep(_Block):
    """Paints the mouths, from noise, by the speech."""

    needed = tuple(COMPONENTS)
    takes = (
        *(InputParam(name, required=True) for name in ("crops", "references", "audio_embeds", "latents")),
        InputParam("num_inference_steps", int, description="denoising steps"),
        InputParam("generator", description="of the noise that some schedulers add in each step"),
        InputParam("eta", float, default=0.0, description="weight of the noise in DDIM"),
        InputParam("guidance_scale", float, description="weight of the speech"),
        InputParam("guidance_rescale", float, default=0.0, description="how far added contrast is taken back"),
        InputParam("batch_size", int, description="frames at a time"),
    )
    gives = (OutputParam("painted", torch.Tensor, "(N, 3, S, S) in [0, 1]"),)

    def run(self, pipe: Diff2LipPipeline, block: Any) -> None:
        names = ("num_inference_steps", "generator", "eta", "guidance_scale", "guidance_rescale", "batch_size")
        (block.painted,) = pipe(
            block.crops,
            reference_frames=block.references,
            audio_embeds=block.audio_embeds,
            latents=block.latents,
            output_type="pt",
            return_dict=False,
            **{name: getattr(block, name) for name in names},
        )


class Diff2LipDecodeStep(_Block):
    """Converts the painted frames to the form that is asked for."""

    needed = ()
    takes = (
        InputParam("painted", required=True),
        InputParam("output_type", str, default="pil", description="`pil`, `np` or `pt`"),
    )
    gives = (OutputParam("painted_frames", description="N face crops with painted mouths"),)

    def run(self, pipe: Diff2LipPipeline, block: Any) -> None:
        block.painted_frames = tensor_to_frames(block.painted, block.output_type)


class Diff2LipBlocks(SequentialPipelineBlocks):
    """All steps of [`Diff2LipPipeline`], with the same results."""

    model_name = "diff2lip"  # pyright: ignore[reportAssignmentType]  # as in diffusers' own blocks
    block_classes = [
        Diff2LipFramesStep,
        Diff2LipSpeechStep,
        Diff2LipNoiseStep,
        Diff2LipDenoiseStep,
        Diff2LipDecodeStep,
    ]
    block_names = ["frames", "speech", "noise", "denoise", "decode"]

    @property
    def description(self) -> str:
        return "Paints the lower half of face crops so that the lips match a speech recording."
