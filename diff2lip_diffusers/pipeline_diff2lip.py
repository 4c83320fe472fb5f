"""The Diff2Lip pipeline: takes face crops and speech, returns the crops with lips that match."""

import copy
import inspect
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from threading import get_ident
from typing import Any

import numpy as np
import PIL.Image
import torch
from diffusers import DiffusionPipeline, ModelMixin, SchedulerMixin, UNet2DConditionModel
from diffusers.loaders.lora_base import LoraBaseMixin, _fetch_state_dict
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from transformers.feature_extraction_utils import FeatureExtractionMixin

from .portable.streaming_diff2lip import StreamingMixin

Frames = list[PIL.Image.Image] | np.ndarray | torch.Tensor
Generators = torch.Generator | list[torch.Generator] | None

# Their steps need other arguments, or sample another way: with this model they end in noise.
UNFIT_SCHEDULERS = (
    "CogVideoXDDIMScheduler",
    "CogVideoXDPMScheduler",
    "DDIMInverseScheduler",
    "DPMSolverMultistepInverseScheduler",
    "KDPM2AncestralDiscreteScheduler",
)


@dataclass
class Diff2LipPipelineOutput(BaseOutput):
    """Output of [`Diff2LipPipeline`].

    Args:
        frames: N face crops of S x S pixels. Their form depends on `output_type`: a list of PIL images, an array
            (N, S, S, 3) or a tensor (N, 3, S, S), both float32 in [0, 1].
    """

    frames: list[PIL.Image.Image] | np.ndarray | torch.Tensor


@dataclass(eq=False)
class _Call:
    """What one call keeps to itself, so that calls in several threads do not disturb each other.

    Args:
        scheduler: a copy of its own.
        schedule: arguments of the scheduler's `set_timesteps`: steps, timesteps or sigmas.
        guidance_scale: weight of the speech; not above 1 is off.
        guidance_rescale: how far the contrast that guidance adds is taken back.
        null_embeds: (1, E), stands for no speech; None without guidance.
        interrupt: whether to stop at the next step.
    """

    scheduler: Any  # the annotations of diffusers' schedulers lack all that is used here
    schedule: dict
    guidance_scale: float
    guidance_rescale: float
    null_embeds: torch.Tensor | None = None
    interrupt: bool = False

    def start(self, device: torch.device) -> torch.Tensor:
        """Returns the timesteps. Multistep schedulers keep state between steps; this resets it.

        Raises:
            ValueError: if the scheduler does not take this schedule.
        """
        try:
            self.scheduler.set_timesteps(**self.schedule, device=device)
        except (IndexError, TypeError, ValueError) as error:
            name = type(self.scheduler).__name__
            given = ", ".join(f"{name} {value}" for name, value in self.schedule.items())
            reason = " ".join(str(error).split())
            raise ValueError(f"`scheduler` is a {name}, which cannot take {given}: {reason}") from error
        return self.scheduler.timesteps


class Diff2LipPipeline(StreamingMixin, LoraBaseMixin, DiffusionPipeline):
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

    Source: SPEC "Idea", "Diffusion"; Mukhopadhyay et al. 2024 (Diff2Lip), section 3.
    """

    model_cpu_offload_seq = "audio_encoder->unet"
    _callback_tensor_inputs = ["latents", "audio_embeds"]
    _lora_loadable_modules = ["unet"]

    def __init__(
        self,
        unet: UNet2DConditionModel,
        audio_encoder: ModelMixin,
        feature_extractor: FeatureExtractionMixin,
        scheduler: SchedulerMixin,
        default_num_inference_steps: int = 25,
        painted_fraction: float = 0.5,
        default_guidance_scale: float = 1.0,
    ):
        super().__init__()
        self.register_modules(
            unet=unet, audio_encoder=audio_encoder, feature_extractor=feature_extractor, scheduler=scheduler
        )
        self.register_to_config(
            default_num_inference_steps=default_num_inference_steps,
            painted_fraction=painted_fraction,
            default_guidance_scale=default_guidance_scale,
        )
        self._running: dict[int, _Call] = {}  # by thread
        self._latest: _Call | None = None

    @torch.no_grad()
    def __call__(
        self,
        frames: Frames,
        audio: np.ndarray | torch.Tensor | None = None,
        sampling_rate: int | None = None,
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
                Crops of another size are resized to S x S.
            audio: speech that starts with the first frame: (T,), (T, C) or (C, T). Exactly one of `audio`,
                `mel_windows` and `audio_embeds` is needed. Audio shorter than the frames is padded with silence.
            sampling_rate: sampling rate of `audio` in Hz; that of the feature extractor by default.
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
            callback_on_step_end_tensor_inputs: the tensors that the callback gets: `"latents"`, `"audio_embeds"`.
            guidance_scale: w in `unheard + w * (heard - unheard)`, where `heard` is the noise predicted with the
                speech, and `unheard` without. Not above 1 is off, above doubles the work; the pipeline's
                `default_guidance_scale` by default.
            guidance_rescale: how far the contrast that guidance adds is taken back, in [0, 1].
            timesteps: timesteps instead of those that the scheduler spaces, where it takes them.
            sigmas: sigmas instead of those that the scheduler spaces, where it takes them.
            scheduler: samples this call instead of the pipeline's own.

        Returns:
            [`Diff2LipPipelineOutput`], or a tuple of its `frames`. Pixels outside the painted part are not changed.
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
        self.check_inputs(num_inference_steps, batch_size, eta, output_type, callback_on_step_end_tensor_inputs)
        _check_guidance(scale, guidance_rescale)
        scheduler = self.scheduler if scheduler is None else scheduler
        _check_scheduler(scheduler)
        schedule = _schedule(scheduler, num_inference_steps, timesteps, sigmas)

        # 2. Prepare frames, in [0, 1]
        frames = self.prepare_frames(frames, "frames")
        num_frames = len(frames)
        references = frames if reference_frames is None else self.prepare_frames(reference_frames, "reference_frames")
        references = _one_or_each(references, num_frames, "reference_frames")

        # 3. Encode the audio, once for each frame
        batch_size = batch_size or num_frames
        audio_embeds = self.encode_audio(num_frames, audio, sampling_rate, fps, mel_windows, audio_embeds, batch_size)

        # 4. Prepare the noise, once for all batches
        latents = self.prepare_latents(num_frames, generator, latents)
        generator = _drawn_generator() if generator is None else generator

        # 5. Denoise batch by batch
        call = _Call(copy.deepcopy(scheduler), schedule, scale, guidance_rescale)
        if scale > 1:
            call.null_embeds = self.null_audio_embeds().to(audio_embeds)
        batches = [slice(start, start + batch_size) for start in range(0, num_frames, batch_size)]
        painted = []
        total = len(batches) * len(call.start(self._execution_device))
        # `torch.compiler.disable` around the method hides its arguments from type checkers.
        with (
            self._as_running(call),
            self.progress_bar(total=total) as progress_bar,  # pyright: ignore[reportCallIssue]
        ):

            def end_step(step, timestep, tensors):
                progress_bar.update()
                if callback_on_step_end is None:
                    return tensors
                chosen = {name: tensors[name] for name in callback_on_step_end_tensor_inputs}
                return tensors | (callback_on_step_end(self, step, timestep, chosen) or {})

            for batch in batches:
                step_generators = _step_generators(generator, batch, len(frames[batch]))
                painted.append(
                    self.denoise(
                        frames[batch],
                        references[batch],
                        audio_embeds[batch],
                        latents[batch],
                        call,
                        _extra_step_kwargs(call.scheduler, step_generators, eta),
                        end_step,
                    )
                )
        if isinstance(generator, torch.Generator):
            generator.set_state(step_generators[0].get_state())

        # 6. Return frames
        self.maybe_free_model_hooks()
        frames = self.convert_frames(torch.cat(painted), output_type)
        return Diff2LipPipelineOutput(frames=frames) if return_dict else (frames,)

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
        if isinstance(frames, PIL.Image.Image):
            frames = [frames]
        if isinstance(frames, (list, tuple)):
            if not frames:
                raise ValueError(f"`{name}` is empty, expected at least one frame")
            parts = [self.prepare_frames(_with_batch_axis(frame), name) for frame in frames]
            return torch.cat(parts)
        frames = _to_unit_range(_channels_first(frames, name), name)
        size = (self.unet.config.sample_size,) * 2
        if frames.shape[-2:] != size:
            frames = torch.nn.functional.interpolate(frames, size=size, mode="bilinear", align_corners=False)
        return frames

    def encode_audio(
        self,
        num_frames: int,
        audio: np.ndarray | torch.Tensor | None = None,
        sampling_rate: int | None = None,
        fps: float | Fraction | None = None,
        mel_windows: torch.Tensor | np.ndarray | None = None,
        audio_embeds: torch.Tensor | None = None,
        batch_size: int | None = None,
    ) -> torch.Tensor:
        """Returns audio embeddings (N, E) of exactly one of `audio`, `mel_windows` and `audio_embeds`."""
        given = [value is not None for value in (audio, mel_windows, audio_embeds)]
        if sum(given) != 1:
            raise ValueError(f"one of `audio`, `mel_windows` and `audio_embeds` is needed, {sum(given)} are given")
        if audio_embeds is not None:
            _check_shape(audio_embeds, (self.unet.config.time_embedding_dim,), "audio_embeds")
            return _one_or_each(audio_embeds.to(self._execution_device), num_frames, "audio_embeds")
        extractor = self.feature_extractor
        if mel_windows is None:
            windows = extractor(audio, sampling_rate, fps, num_frames=num_frames).mel_windows
        else:
            windows = mel_windows
        _check_shape(windows, (extractor.feature_size, extractor.window_size), "mel_windows")
        windows = _one_or_each(torch.as_tensor(windows), num_frames, "mel_windows")
        batches = windows.split(batch_size or num_frames)
        return torch.cat([self.audio_encoder(batch.to(self._execution_device)) for batch in batches])

    def prepare_latents(
        self, num_frames: int, generator: Generators = None, latents: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Returns noise of unit variance, (N, 3, S, S) float32: one noise image for all frames by default."""
        size = self.unet.config.sample_size
        shape = (self.unet.config.in_channels, size, size)
        generators = generator if isinstance(generator, list) else [generator]
        if not generators or not all(isinstance(one, torch.Generator) for one in generators if generator is not None):
            raise ValueError(f"`generator` is {generator!r}, expected a torch.Generator or a list of them")
        one_each = len(generators) > 1
        if one_each and len(generators) != num_frames:
            raise ValueError(f"`generator` is a list of {len(generators)}, expected 1 or {num_frames}")
        if latents is None:
            count = num_frames if one_each else 1
            latents = randn_tensor((count, *shape), generator, self._execution_device, torch.float32)
        _check_shape(latents, shape, "latents")
        return _one_or_each(latents.to(self._execution_device, torch.float32), num_frames, "latents")

    def null_audio_embeds(self) -> torch.Tensor:
        """Returns the embedding (1, E) that stands for no speech, for guidance.

        It is the audio encoder's learned one; where it has none, the embedding of silence.
        """
        stored = getattr(self.audio_encoder, "null_embeds", None)
        if stored is not None:
            return stored.detach().to(self._execution_device)
        extractor = self.feature_extractor
        return self.encode_audio(1, np.zeros(extractor.sampling_rate, np.float32), extractor.sampling_rate)

    def denoise(
        self,
        frames: torch.Tensor,
        references: torch.Tensor,
        audio_embeds: torch.Tensor,
        latents: torch.Tensor,
        call: _Call,
        step_kwargs: dict,
        end_step: Callable,
    ) -> torch.Tensor:
        """Returns one batch of frames, (N, 3, S, S) in [0, 1], with the mouths painted.

        Args:
            frames: (N, 3, S, S) in [0, 1].
            references: (N, 3, S, S) in [0, 1].
            audio_embeds: (N, E).
            latents: (N, 3, S, S), noise of unit variance: the first sample, and the filling of the masked frames.
            call: scheduler and guidance.
            step_kwargs: extra arguments for `scheduler.step`.
            end_step: called as `(step, timestep, tensors)`; returns the tensors for the next step.

        Source: SPEC "U-Net", inside every call; SPEC "Diffusion".
        """
        frames, references = frames.to(latents.device), references.to(latents.device)
        mask = self.painted_mask(latents.device)
        masked_frames = torch.where(mask, latents, 2 * frames - 1)
        scheduler, timesteps = call.scheduler, call.start(latents.device)
        sample = latents * scheduler.init_noise_sigma
        for step, timestep in enumerate(timesteps):
            if call.interrupt:
                break
            model_input = scheduler.scale_model_input(sample, timestep)
            crops = (model_input, masked_frames, 2 * references - 1)
            model_output = self.predict_noise(crops, timestep, mask.to(sample.dtype), audio_embeds, call)
            if not _learns_variance(scheduler):
                model_output = model_output[:, : sample.shape[1]]
            sample = scheduler.step(model_output, timestep, sample, **step_kwargs).prev_sample
            tensors = end_step(step, timestep, {"latents": sample, "audio_embeds": audio_embeds})
            sample, audio_embeds = tensors["latents"], tensors["audio_embeds"]
        return torch.where(mask, (sample / 2 + 0.5).clamp(0, 1), frames)

    def predict_noise(
        self,
        crops: tuple[torch.Tensor, ...],
        timestep: torch.Tensor,
        mask: torch.Tensor,
        audio_embeds: torch.Tensor,
        call: _Call,
    ) -> torch.Tensor:
        """Returns the U-Net's prediction for noise and variance, (N, 6, S, S); with guidance, of one pass for both.

        Guidance changes the noise only. The variance is that of the pass with the speech.

        Args:
            crops: the scaled sample, masked frames and references, each (N, 3, S, S).
            timestep: of this step.
            mask: (1, 1, S, S), 1 where the mouth is painted.
            audio_embeds: (N, E).
            call: scheduler and guidance.
        """
        if call.null_embeds is None:
            sample, *others = crops
            return self.unet(sample, timestep, *others, mask, audio_embeds).sample
        sample, *others = (torch.cat([crop, crop]) for crop in crops)
        both_embeds = torch.cat([call.null_embeds.expand_as(audio_embeds), audio_embeds])
        unheard, heard = self.unet(sample, timestep, *others, mask, both_embeds).sample.chunk(2)
        channels = sample.shape[1]
        unheard, heard, variance = unheard[:, :channels], heard[:, :channels], heard[:, channels:]
        guided = unheard + call.guidance_scale * (heard - unheard)
        if call.guidance_rescale:
            guided = guided * _rescaling(guided, heard, mask, call.guidance_rescale)
        return torch.cat([guided, variance], dim=1)

    def painted_mask(self, device: torch.device | str = "cpu") -> torch.Tensor:
        """Returns a mask (1, 1, S, S) bool, true where the mouth is painted.

        The first painted row is int(S * (1 - `painted_fraction`)).
        """
        size = self.unet.config.sample_size
        rows = torch.arange(size, device=device) >= int(size * (1 - self.config["painted_fraction"]))
        return rows[None, None, :, None].expand(1, 1, size, size)

    def convert_frames(self, frames: torch.Tensor, output_type: str) -> Frames:
        """Converts frames (N, 3, S, S) in [0, 1] to the form that `output_type` names."""
        if output_type == "pt":
            return frames
        array = frames.permute(0, 2, 3, 1).cpu().numpy()
        return self.numpy_to_pil(array) if output_type == "pil" else array

    # State of the calls, under diffusers' names: of this thread's call, else of the latest one.

    @property
    def guidance_scale(self) -> float:
        """The guidance scale of the call."""
        call = self._call
        return self.config["default_guidance_scale"] if call is None else call.guidance_scale

    @property
    def guidance_rescale(self) -> float:
        """The guidance rescaling of the call."""
        return 0.0 if self._call is None else self._call.guidance_rescale

    @property
    def do_classifier_free_guidance(self) -> bool:
        """Whether the call is guided."""
        return self.guidance_scale > 1

    @property
    def num_timesteps(self) -> int:
        """Steps of the call, as the scheduler counts them; 0 before any call."""
        return 0 if self._call is None else len(self._call.scheduler.timesteps)

    @property
    def interrupt(self) -> bool:
        """Whether the call stops at its next step."""
        return self._call is not None and self._call.interrupt

    @property
    def _interrupt(self) -> bool:
        return self.interrupt

    @_interrupt.setter
    def _interrupt(self, value: bool) -> None:
        """Set in a callback, it is for this call; set in another thread, for all that are running."""
        own = self._running.get(get_ident())
        for call in list(self._running.values()) if own is None else [own]:
            call.interrupt = value

    @property
    def _call(self) -> _Call | None:
        return self._running.get(get_ident(), self._latest)

    @contextmanager
    def _as_running(self, call: _Call) -> Iterator[None]:
        thread = get_ident()
        outer = self._running.get(thread)
        self._running[thread] = self._latest = call
        try:
            yield
        finally:
            if outer is None:
                del self._running[thread]
            else:
                self._running[thread] = outer

    # Low-rank adapters (LoRA) of the U-Net, under diffusers' names; the rest comes from `LoraBaseMixin`.

    @classmethod
    def lora_state_dict(
        cls, pretrained_model_name_or_path_or_dict: str | os.PathLike | dict[str, torch.Tensor], **kwargs
    ) -> dict[str, torch.Tensor] | tuple[dict[str, torch.Tensor], dict | None]:
        """Returns the weights of an adapter, with names that begin with `unet.`; only safetensors files are read.

        Args:
            pretrained_model_name_or_path_or_dict: folder, file, repository on the Hub, or the weights themselves.
            **kwargs: as in other pipelines: `weight_name`, `subfolder`, `revision`, `token`, `cache_dir`,
                `force_download`, `local_files_only`, `proxies`, and `return_lora_metadata` for a pair with the
                adapter's settings.

        Raises:
            ValueError: if there are other weights than those of an adapter.
        """
        with_metadata = kwargs.pop("return_lora_metadata", False)
        kwargs.pop("use_safetensors", None)  # pickled weights could run code
        names = ("weight_name", "local_files_only", "cache_dir", "proxies", "token", "revision", "subfolder")
        fetch = {name: kwargs.pop(name, None) for name in names} | {
            "force_download": kwargs.pop("force_download", False),
            "user_agent": {"file_type": "attn_procs_weights", "framework": "pytorch"},
        }
        weights, metadata = _fetch_state_dict(
            pretrained_model_name_or_path_or_dict, use_safetensors=True, allow_pickle=False, **fetch
        )
        if not weights or not all("lora" in name for name in weights):
            raise ValueError("the weights are not those of an adapter (LoRA): expected `lora` in each name")
        if not any(name.startswith("unet.") for name in weights):
            weights = {f"unet.{name}": weight for name, weight in weights.items()}
            metadata = metadata and {f"unet.{name}": value for name, value in metadata.items()}
        if metadata:
            metadata["unet.base_model_name_or_path"] = None  # with it, PEFT would look for a language model
        return (weights, metadata) if with_metadata else weights

    def load_lora_weights(
        self,
        pretrained_model_name_or_path_or_dict: str | os.PathLike | dict[str, torch.Tensor],
        adapter_name: str | None = None,
        hotswap: bool = False,
        **kwargs,
    ) -> None:
        """Adds an adapter to the U-Net and turns it on.

        Args:
            pretrained_model_name_or_path_or_dict: as in `lora_state_dict`; what `save_lora_weights`,
                `unet.save_lora_adapter` and `diff2lip train` write.
            adapter_name: its name for `set_adapters`; numbered by default.
            hotswap: whether to put its weights in the place of those of the adapter of that name.
            **kwargs: as in `lora_state_dict`, and `low_cpu_mem_usage`.

        Raises:
            ValueError: if the weights are not those of an adapter, or the name is taken.
            RuntimeError: if they are for another U-Net.
        """
        low_cpu_mem_usage = kwargs.pop("low_cpu_mem_usage", False)
        weights, metadata = self.lora_state_dict(
            pretrained_model_name_or_path_or_dict, **kwargs, return_lora_metadata=True
        )
        self.unet.load_lora_adapter(
            weights,
            prefix="unet",
            adapter_name=adapter_name,
            hotswap=hotswap,
            metadata=metadata,
            low_cpu_mem_usage=low_cpu_mem_usage,
            _pipeline=self,
        )

    @classmethod
    def save_lora_weights(
        cls,
        save_directory: str | os.PathLike,
        unet_lora_layers: dict[str, torch.Tensor],
        is_main_process: bool = True,
        weight_name: str | None = None,
        save_function: Callable | None = None,
        safe_serialization: bool = True,
        unet_lora_adapter_metadata: dict | None = None,
    ) -> None:
        """Writes the weights of an adapter, as other pipelines do.

        Args:
            save_directory: folder to write to.
            unet_lora_layers: weights of PEFT's `get_peft_model_state_dict(pipe.unet)`.
            is_main_process: whether this process writes.
            weight_name: of the file; `pytorch_lora_weights.safetensors` by default.
            save_function: writes the file, instead of safetensors.
            safe_serialization: whether to write safetensors.
            unet_lora_adapter_metadata: the adapter's settings, `pipe.unet.peft_config["name"].to_dict()`.
        """
        cls._save_lora_weights(
            save_directory,
            lora_layers={"unet": unet_lora_layers},  # pyright: ignore[reportArgumentType]
            lora_metadata={"unet": unet_lora_adapter_metadata},
            is_main_process=is_main_process,
            weight_name=weight_name,  # pyright: ignore[reportArgumentType]  # None is allowed
            save_function=save_function,  # pyright: ignore[reportArgumentType]
            safe_serialization=safe_serialization,
        )

    def fuse_lora(self, components: tuple[str, ...] | list[str] = ("unet",), *args, **kwargs) -> None:
        """Adds the adapters to the weights, so that they cost nothing; arguments as in other pipelines."""
        super().fuse_lora(list(components), *args, **kwargs)

    def unfuse_lora(self, components: tuple[str, ...] | list[str] = ("unet",), **kwargs) -> None:
        """Takes the adapters out of the weights again."""
        super().unfuse_lora(list(components), **kwargs)


def _check_guidance(scale: float, rescale: float) -> None:
    if not (isinstance(scale, (int, float)) and 0 <= scale < math.inf):
        raise ValueError(f"`guidance_scale` is {scale!r}, expected a number, 0 or more")
    if not (isinstance(rescale, (int, float)) and 0 <= rescale <= 1):
        raise ValueError(f"`guidance_rescale` is {rescale!r}, expected a number in [0, 1]")


def _check_scheduler(scheduler: Any) -> None:
    """Raises ValueError if a scheduler cannot sample the model."""
    name = type(scheduler).__name__
    cure = "build one with from_config(pipe.scheduler.config), for example DPMSolverMultistepScheduler"
    if any(parent.__name__ in UNFIT_SCHEDULERS for parent in type(scheduler).__mro__):
        raise ValueError(f"`scheduler` is a {name}, which gives noise with this model; {cure}")
    accepted = inspect.signature(type(scheduler).__init__).parameters
    if "beta_schedule" not in accepted or scheduler.config.get("prediction_type", "epsilon") != "epsilon":
        raise ValueError(f"`scheduler` is a {name} that does not denoise an epsilon-model; {cure}")
    wanted = ("model_output", "timestep", "sample")
    try:
        bound = inspect.signature(scheduler.step).bind(*wanted).arguments
    except TypeError:
        bound = {"timestep": None}
    if any(bound.get(argument, argument) != argument for argument in wanted):
        raise ValueError(
            f"`scheduler` is a {name}, whose `step` takes other arguments than {', '.join(wanted)}; {cure}"
        )


def _schedule(
    scheduler: Any, num_inference_steps: int, timesteps: list[int] | None, sigmas: list[float] | None
) -> dict:
    """Returns the arguments of `set_timesteps`.

    Raises:
        ValueError: if timesteps and sigmas are given, or the scheduler does not take them.
    """
    given = {name: some for name, some in (("timesteps", timesteps), ("sigmas", sigmas)) if some is not None}
    if len(given) > 1:
        raise ValueError("`timesteps` and `sigmas` exclude each other; pass one of them")
    for name, some in given.items():
        if name not in inspect.signature(scheduler.set_timesteps).parameters:
            raise ValueError(f"`{name}` cannot be chosen with a {type(scheduler).__name__}; leave it out")
        if len(some) == 0:
            raise ValueError(f"`{name}` is empty, expected one for each step")
    return given or {"num_inference_steps": num_inference_steps}


def _extra_step_kwargs(scheduler: Any, generators: list[torch.Generator], eta: float) -> dict:
    """Returns the extra arguments that `step` of this scheduler accepts.

    `use_clipped_model_output` recomputes the noise from the clipped prediction, as the original does.
    """
    accepted = inspect.signature(scheduler.step).parameters
    extra = {"eta": eta, "use_clipped_model_output": True, "generator": generators}
    return {name: value for name, value in extra.items() if name in accepted}


def _learns_variance(scheduler: Any) -> bool:
    """Returns whether the scheduler uses all six channels of the prediction; only DDPM can."""
    accepted = inspect.signature(type(scheduler).__init__).parameters
    learned = scheduler.config.get("variance_type") in ("learned", "learned_range")
    return learned and "variance_type" in accepted


def _rescaling(guided: torch.Tensor, heard: torch.Tensor, mask: torch.Tensor, share: float) -> torch.Tensor:
    """Returns factors (N, 1, 1, 1) that bring guided noise a share of the way to the deviation of the unguided one.

    The deviation is that of the painted part: elsewhere the prediction means nothing.
    """
    ratio = _painted_deviation(heard, mask) / _painted_deviation(guided, mask)
    return share * ratio + 1 - share


def _painted_deviation(noise: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    rows = mask[0, 0, :, 0].bool()
    return noise[:, :, rows].std(dim=(1, 2, 3), keepdim=True)


def _check_shape(values: torch.Tensor | np.ndarray, entry: tuple[int, ...], name: str) -> None:
    if tuple(values.shape[1:]) != entry:
        expected = ", ".join(map(str, ("N", *entry)))
        raise ValueError(f"`{name}` has shape {tuple(values.shape)}, expected ({expected})")


def _one_or_each(tensor: torch.Tensor, num_frames: int, name: str) -> torch.Tensor:
    if len(tensor) not in (1, num_frames):
        raise ValueError(f"`{name}` has {len(tensor)} entries, expected 1 or {num_frames}, the number of frames")
    return tensor.expand(num_frames, *tensor.shape[1:])


def _drawn_generator() -> torch.Generator:
    """Returns a generator seeded from the global one of torch, so that `torch.manual_seed` has an effect."""
    return torch.Generator().manual_seed(int(torch.randint(2**62, ())))


def _step_generators(
    generator: torch.Generator | list[torch.Generator], batch: slice, size: int
) -> list[torch.Generator]:
    """Returns a generator for each frame of the batch, all in the same state: frames and batches share their noise."""
    if isinstance(generator, list) and len(generator) > 1:
        return generator[batch]
    generator = generator[0] if isinstance(generator, list) else generator
    clones = [torch.Generator(generator.device) for _ in range(size)]
    for clone in clones:
        clone.set_state(generator.get_state())
    return clones


def _with_batch_axis(frame: PIL.Image.Image | np.ndarray | torch.Tensor) -> np.ndarray | torch.Tensor:
    if isinstance(frame, PIL.Image.Image):
        frame = np.array(frame.convert("RGB"))
    return frame[None] if frame.ndim == 3 else frame


def _channels_first(frames: np.ndarray | torch.Tensor, name: str) -> torch.Tensor:
    """Returns a tensor (N, 3, H, W) for an array (N, H, W, 3) or a tensor (N, 3, H, W)."""
    if not isinstance(frames, (np.ndarray, torch.Tensor)):
        raise ValueError(f"`{name}` is a {type(frames).__name__}, expected PIL images, an array or a tensor")
    frames = _with_batch_axis(frames)
    is_array = isinstance(frames, np.ndarray)
    if frames.ndim != 4 or frames.shape[-1 if is_array else 1] != 3 or 0 in frames.shape:
        expected = "(N, H, W, 3)" if is_array else "(N, 3, H, W)"
        raise ValueError(f"`{name}` has shape {tuple(frames.shape)}, expected {expected}")
    if isinstance(frames, np.ndarray):
        return torch.from_numpy(np.require(frames, requirements=["C", "W"])).permute(0, 3, 1, 2)
    return frames


def _to_unit_range(frames: torch.Tensor, name: str) -> torch.Tensor:
    """Converts uint8 to float32 in [0, 1]; floats must already be in that range."""
    if frames.dtype == torch.uint8:
        return frames.float() / 255
    if not frames.is_floating_point():
        raise ValueError(f"`{name}` has type {frames.dtype}, expected uint8, or floats in [0, 1]")
    if not (frames.amin() >= 0 and frames.amax() <= 1):
        raise ValueError(f"`{name}` has values in [{frames.amin()}, {frames.amax()}], expected floats in [0, 1]")
    return frames.float()
