"""The Diff2Lip pipeline: takes face crops and speech, returns the crops with lips that match."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline, ModelMixin, SchedulerMixin, UNet2DConditionModel
from diffusers.utils import BaseOutput
from transformers.feature_extraction_utils import FeatureExtractionMixin

# All files that these import, too: diffusers copies what a pipeline in a model folder imports, but no further.
from .audio_input_diff2lip import is_batch
from .call_state_diff2lip import CallStateMixin, PipelineCall
from .clip_batch_diff2lip import join_clips, split_clips
from .denoising_diff2lip import CropBatch, denoise, painted_mask
from .frames_diff2lip import Frames, check_shape, frames_to_tensor, one_or_each, tensor_to_frames, uploaded
from .guidance_diff2lip import check_guidance
from .lora_diff2lip import Diff2LipLoraMixin
from .model_card_diff2lip import ModelCardMixin
from .noise_diff2lip import Generators, check_generators, drawn_generator, drawn_noise, step_generators
from .scheduler_use_diff2lip import check_scheduler, extra_step_kwargs, schedule_arguments
from .single_file_diff2lip import SingleFileMixin
from .streaming_diff2lip import StreamingMixin


@dataclass
class Diff2LipPipelineOutput(BaseOutput):
    """Output of [`Diff2LipPipeline`].

    Args:
        frames: N face crops of S x S pixels. Their form depends on `output_type`: a list of PIL images, an array
            (N, S, S, 3) or a tensor (N, 3, S, S), both float32 in [0, 1]. For a batch of clips, a list of these.
    """

    frames: list | np.ndarray | torch.Tensor


class Diff2LipPipeline(
    CallStateMixin, StreamingMixin, Diff2LipLoraMixin, ModelCardMixin, SingleFileMixin, DiffusionPipeline
):
    """Pipeline that paints the lower half of face crops so that the lips match a speech recording.

    Letters in shapes: N frames, S x S pixels (`unet.config.sample_size`), E width of an audio embedding, T samples.
    The pipeline reads no files and detects no faces: [`sync_video`] does both. Several threads may call one pipeline:
    each call samples with a copy of the scheduler, so `pipe.scheduler` itself is not changed.

    Args:
        unet: a [`Diff2LipUNet2DConditionModel`].
        audio_encoder: a [`Diff2LipAudioEncoder`].
        feature_extractor: a [`Diff2LipFeatureExtractor`].
        scheduler: any diffusers scheduler for a model that predicts noise (epsilon).
        default_num_inference_steps: denoising steps if a call gives none; 25 in the paper.
        painted_fraction: fraction of the crop that is painted, from the bottom, in (0, 1].
        default_guidance_scale: guidance scale if a call gives none; 1 is off.
        weights_license: license of the weights, as the Hub names it, such as `"cc-by-nc-4.0"`; None is unknown.

    Source: Mukhopadhyay et al. 2024 (Diff2Lip), section 3.
    """

    model_cpu_offload_seq = "audio_encoder->unet"
    _callback_tensor_inputs = ["latents", "audio_embeds"]

    def __init__(
        self,
        unet: UNet2DConditionModel,
        audio_encoder: ModelMixin,
        feature_extractor: FeatureExtractionMixin,
        scheduler: SchedulerMixin,
        default_num_inference_steps: int = 25,
        painted_fraction: float = 0.5,
        default_guidance_scale: float = 1.0,
        weights_license: str | None = None,
    ):
        super().__init__()
        self.register_modules(
            unet=unet, audio_encoder=audio_encoder, feature_extractor=feature_extractor, scheduler=scheduler
        )
        self.register_to_config(
            default_num_inference_steps=default_num_inference_steps,
            painted_fraction=painted_fraction,
            default_guidance_scale=default_guidance_scale,
            weights_license=weights_license,
        )
        self._running: dict[int, PipelineCall] = {}  # by thread
        self._latest: PipelineCall | None = None

    @torch.no_grad()
    def __call__(
        self,
        frames: Frames | list,
        audio: np.ndarray | torch.Tensor | list | tuple | None = None,
        sampling_rate: Any = None,
        mel_windows: torch.Tensor | np.ndarray | None = None,
        audio_embeds: torch.Tensor | None = None,
        reference_frames: Frames | None = None,
        fps: float | Fraction | None = None,
        num_inference_steps: int | None = None,
        generator: Generators = None,
        latents: torch.Tensor | None = None,
        eta: float = 0.0,
        batch_size: int | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        callback_on_step_end: Callable | None = None,
        callback_on_step_end_tensor_inputs: tuple[str, ...] = ("latents",),
        guidance_scale: float | None = None,
        guidance_rescale: float = 0.0,
        timesteps: list[int] | None = None,
        sigmas: list[float] | None = None,
        scheduler: SchedulerMixin | None = None,
    ) -> Diff2LipPipelineOutput | tuple:
        """Paints the mouths of consecutive face crops.

        Args:
            frames: N crops: PIL images, an array (N, H, W, 3) or a tensor (N, 3, H, W); uint8, or float in [0, 1].
                Crops of another size are resized to S x S. With a list of recordings: a list of as many clips.
            audio: speech that starts with the first frame: (T,), (T, C) or (C, T). Exactly one of `audio`,
                `mel_windows` and `audio_embeds` is needed. Audio shorter than the frames is padded with silence. A
                list of recordings, one for each clip of `frames`, is a batch of clips.
            sampling_rate: sampling rate of `audio` in Hz, or a list for a batch; that of the feature extractor by
                default, with a warning.
            mel_windows: (N, 80, 16), instead of `audio`.
            audio_embeds: (N, E), instead of `audio`.
            reference_frames: N crops, or one for all frames, that show the person; the frames themselves by default.
            fps: frames per second of `frames`; the value of the feature extractor by default.
            num_inference_steps: denoising steps; `default_num_inference_steps` by default.
            generator: makes the result repeatable. All frames share its noise, also the noise that some schedulers
                add in each step. A list of N generators gives every frame its own noise.
            latents: initial noise: (1, 3, S, S), shared by all frames, or (N, 3, S, S). Drawn by default.
            eta: weight of the noise in DDIM, in [0, 1]; other schedulers ignore it.
            batch_size: frames denoised at a time; all by default. Does not change the result.
            output_type: `"pil"`, `"np"` or `"pt"`.
            return_dict: whether to return a dataclass or a tuple.
            callback_on_step_end: called as `(pipeline, step, timestep, tensors)` after each step of each batch. It may
                return a dict of tensors that replace those of the loop.
            callback_on_step_end_tensor_inputs: the tensors that the callback gets: `"latents"`, `"audio_embeds"`. A
                `PipelineCallback` of diffusers names its own.
            guidance_scale: w in `unheard + w * (heard - unheard)`, where `heard` is the noise predicted with the
                speech, and `unheard` without. Not above 1 is off, above doubles the work; the pipeline's
                `default_guidance_scale` by default.
            guidance_rescale: how far the contrast that guidance adds is taken back, in [0, 1].
            timesteps: timesteps instead of those that the scheduler spaces, where it takes them.
            sigmas: sigmas instead of those that the scheduler spaces, where it takes them.
            scheduler: samples this call instead of the pipeline's own.

        Returns:
            [`Diff2LipPipelineOutput`], or a tuple of its `frames`; for a batch, of a list of clips. Pixels outside the
            painted part are not changed.
            After `pipe._interrupt = True`, the painted part is as noisy as the next step found it.

        Raises:
            ValueError: if an argument is missing, conflicts with another, or has a wrong shape or range.

        Source: guidance: Ho and Salimans 2022; its rescaling: Lin et al. 2024, section 3.4.

        Examples:

        ```py
        >>> import diff2lip_diffusers
        >>> from diffusers import DiffusionPipeline

        >>> pipe = DiffusionPipeline.from_pretrained("diff2lip").to("cuda")
        >>> images = pipe(face_crops, audio=waveform, sampling_rate=16000, fps=25).frames
        ```
        """
        # 1. Check inputs
        default_steps: int = self.config["default_num_inference_steps"]
        num_inference_steps = default_steps if num_inference_steps is None else num_inference_steps
        own_scale: float = self.config["default_guidance_scale"]
        scale = own_scale if guidance_scale is None else guidance_scale
        # Callbacks of diffusers name the tensors that they need.
        wanted = getattr(callback_on_step_end, "tensor_inputs", callback_on_step_end_tensor_inputs)
        self.check_inputs(num_inference_steps, batch_size, eta, output_type, wanted)
        check_guidance(scale, guidance_rescale)
        scheduler = self.scheduler if scheduler is None else scheduler
        check_scheduler(scheduler)
        schedule = schedule_arguments(scheduler, num_inference_steps, timesteps, sigmas)

        # 2. Prepare frames, in [0, 1]
        lengths = None
        if isinstance(audio, (list, tuple)) and is_batch(audio):
            clips = join_clips(
                self.prepare_frames, self.feature_extractor, frames, audio, sampling_rate, fps, reference_frames
            )
            frames, reference_frames, lengths = clips.frames, clips.references, clips.lengths
            audio, mel_windows = None, clips.mel_windows
        frames = self.prepare_frames(frames, "frames")
        num_frames = len(frames)
        references = frames if reference_frames is None else self.prepare_frames(reference_frames, "reference_frames")
        references = one_or_each(references, num_frames, "reference_frames")

        # 3. Encode the audio, once for each frame
        batch_size = batch_size or num_frames
        device = self._execution_device  # once: it is looked for in all modules
        audio_embeds = self.encode_audio(
            num_frames, audio, sampling_rate, fps, mel_windows, audio_embeds, batch_size, device
        )

        # 4. Prepare the noise, once for all batches
        latents = self.prepare_latents(num_frames, generator, latents, device)
        generator = drawn_generator() if generator is None else generator

        # 5. Denoise batch by batch
        call = PipelineCall(copy.deepcopy(scheduler), schedule, scale, guidance_rescale)
        if scale > 1:
            call.null_embeds = self.null_audio_embeds().to(audio_embeds)
        crops, mask = CropBatch(frames, references, audio_embeds, latents), self.painted_mask(latents.device)
        batches = [slice(start, start + batch_size) for start in range(0, num_frames, batch_size)]
        painted = []
        total = len(batches) * len(call.start(torch.device("cpu")))
        # `torch.compiler.disable` around the method hides its arguments from type checkers.
        with (
            self._as_running(call),
            self.progress_bar(total=total) as progress_bar,  # pyright: ignore[reportCallIssue]
        ):

            def end_step(step, timestep, tensors):
                progress_bar.update()
                if callback_on_step_end is None:
                    return tensors
                chosen = {name: tensors[name] for name in wanted}
                return tensors | (callback_on_step_end(self, step, timestep, chosen) or {})

            for batch in batches:
                generators = step_generators(generator, batch, len(crops[batch]))
                step_kwargs = extra_step_kwargs(call.scheduler, generators, eta)
                painted.append(denoise(self.unet, crops[batch], mask, call, step_kwargs, end_step))
        if isinstance(generator, torch.Generator):
            generator.set_state(generators[0].get_state())

        # 6. Return frames
        self.maybe_free_model_hooks()
        converted = self.convert_frames(torch.cat(painted), output_type)
        output = converted if lengths is None else split_clips(converted, lengths)
        return Diff2LipPipelineOutput(frames=output) if return_dict else (output,)

    def check_inputs(self, num_inference_steps, batch_size, eta, output_type, callback_on_step_end_tensor_inputs):
        """Raises ValueError if an argument is out of range."""
        for name, value in (("num_inference_steps", num_inference_steps), ("batch_size", batch_size)):
            if value is not None and not (isinstance(value, (int, float)) and value >= 1 and int(value) == value):
                raise ValueError(f"`{name}` is {value!r}, expected a whole number above 0")
        if not 0 <= eta <= 1:
            raise ValueError(f"`eta` is {eta}, expected a number in [0, 1]")
        if output_type not in ("pil", "np", "pt"):
            raise ValueError(f"`output_type` is {output_type!r}, known are 'pil', 'np' and 'pt'")
        unknown = [name for name in callback_on_step_end_tensor_inputs if name not in self._callback_tensor_inputs]
        if unknown:
            raise ValueError(
                f"`callback_on_step_end_tensor_inputs` has {unknown[0]!r}, known are {self._callback_tensor_inputs}"
            )

    def prepare_frames(self, frames: Frames, name: str) -> torch.Tensor:
        """Returns crops of any accepted form as (N, 3, S, S) float32 in [0, 1]. Tensors stay on their device.

        Raises:
            ValueError: if form, shape, dtype or range is not accepted. Its text names the argument `name`.
        """
        return frames_to_tensor(frames, name, self.unet.config.sample_size)

    def encode_audio(
        self,
        num_frames: int,
        audio: np.ndarray | torch.Tensor | list | tuple | None = None,
        sampling_rate: int | None = None,
        fps: float | Fraction | None = None,
        mel_windows: torch.Tensor | np.ndarray | None = None,
        audio_embeds: torch.Tensor | None = None,
        batch_size: int | None = None,
        device: torch.device | None = None,
    ) -> torch.Tensor:
        """Returns audio embeddings (N, E) of exactly one of `audio`, `mel_windows` and `audio_embeds`."""
        device = device or self._execution_device
        given = [value is not None for value in (audio, mel_windows, audio_embeds)]
        if sum(given) != 1:
            raise ValueError(f"one of `audio`, `mel_windows` and `audio_embeds` is needed, {sum(given)} are given")
        if audio_embeds is not None:
            check_shape(audio_embeds, (self.unet.config.time_embedding_dim,), "audio_embeds")
            return one_or_each(audio_embeds.to(device), num_frames, "audio_embeds")
        extractor = self.feature_extractor
        if mel_windows is None:
            windows = extractor(audio, sampling_rate, fps, num_frames=num_frames).mel_windows
        else:
            windows = mel_windows
        check_shape(windows, (extractor.feature_size, extractor.window_size), "mel_windows")
        windows = one_or_each(torch.as_tensor(windows), num_frames, "mel_windows")
        batches = windows.split(batch_size or num_frames)
        return torch.cat([self.audio_encoder(uploaded(batch, device)) for batch in batches])

    def prepare_latents(
        self,
        num_frames: int,
        generator: Generators = None,
        latents: torch.Tensor | None = None,
        device: torch.device | None = None,
    ) -> torch.Tensor:
        """Returns noise of unit variance, (N, 3, S, S) float32: one noise image for all frames by default."""
        device = device or self._execution_device
        size = self.unet.config.sample_size
        shape = (self.unet.config.in_channels, size, size)
        count = check_generators(generator, num_frames)
        if latents is None:
            latents = drawn_noise((count, *shape), generator, device)
        check_shape(latents, shape, "latents")
        return one_or_each(uploaded(latents, device).float(), num_frames, "latents")

    def null_audio_embeds(self) -> torch.Tensor:
        """Returns the embedding (1, E) that stands for no speech, for guidance.

        It is the audio encoder's learned one; where it has none, the embedding of silence.
        """
        stored = getattr(self.audio_encoder, "null_embeds", None)
        if stored is not None:
            return stored.detach().to(self._execution_device)
        extractor = self.feature_extractor
        return self.encode_audio(1, np.zeros(extractor.sampling_rate, np.float32), extractor.sampling_rate)

    def painted_mask(self, device: torch.device | str = "cpu") -> torch.Tensor:
        """Returns a mask (1, 1, S, S) bool, true where the mouth is painted.

        The first painted row is int(S * (1 - `painted_fraction`)).
        """
        return painted_mask(self.unet.config.sample_size, self.config["painted_fraction"], device)

    def convert_frames(self, frames: torch.Tensor, output_type: str) -> Frames:
        """Converts frames (N, 3, S, S) in [0, 1] to the form that `output_type` names."""
        return tensor_to_frames(frames, output_type)
