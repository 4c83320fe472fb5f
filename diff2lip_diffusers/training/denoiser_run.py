"""A run that trains a denoiser: networks, optimizers, averaged weights, data, checkpoints and results."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import is_tensorboard_available
from diffusers.training_utils import EMAModel

from ..portable.pipeline_diff2lip import Diff2LipPipeline
from .damaged_clips import skipping_damaged
from .denoiser import Denoiser, check_size_px
from .denoiser_config import DenoiserConfig
from .diffusion import NoisyBatch
from .discriminator import SequenceDiscriminator
from .lora import save_lora
from .model_folder import save_model_folder
from .previews import write_previews
from .run_folder import CONFIG_NAME, LORA_NAME, MODEL_NAME, make_accelerator
from .training_clips import find_clips, is_held_out
from .training_run import StepRecord, TrainingRun, learning_rate_factor
from .training_set import Augmentation, TrainingSet

SAMPLES_NAME = "samples"
# Settings of a run that trains a denoiser.
Config = TypeVar("Config", bound=DenoiserConfig)

logger = logging.getLogger(__name__)


class DenoiserRun(TrainingRun[Config]):
    """A run that trains a denoiser: networks, optimizers, averaged weights, data and progress.

    Subclasses say what it learns from: `_first_denoiser`, `_load_teaching`, `_noisy_batch` and `objective`.

    Args:
        config: settings of the run.
        resume: whether to resume from the newest checkpoint in `config.output`; otherwise checkpoints are removed.
    """

    objective: Any

    def __init__(self, config: Config, resume: bool = True):
        super().__init__(config, _accelerator(config))
        denoiser = self._first_denoiser()
        self.size_px = config.size_px or denoiser.unet.config["sample_size"]
        check_size_px(self.size_px, denoiser)
        self.data = self._training_set()
        self._preview_data = preview_set(config, self.size_px)
        self._load_teaching()
        self.samples = 0
        self._make_networks(denoiser)
        self._start(resume)
        if self.accelerator.log_with:
            self.accelerator.init_trackers("diff2lip")

    @property
    def denoiser(self) -> Denoiser:
        """The trained module itself."""
        return self.accelerator.unwrap_model(self._denoiser)

    def run(self) -> Iterator[StepRecord]:
        """Trains the remaining steps."""
        batches = self._batches(self.samples, self.config.train_batch_size)
        while self.step < self.config.max_train_steps:
            start = time.perf_counter()
            self.step += 1
            learning_rate = self._set_learning_rates()
            losses, grad_norm = self._train_step(batches)
            self.samples += self._samples_per_step
            self._stop_if_damaged()
            if self._is_due(self.config.checkpointing_steps):
                self.save()
            if self._is_due(self.config.validation_steps):
                self.save_previews()
            record = StepRecord(self.step, losses, learning_rate, grad_norm, time.perf_counter() - start)
            self.accelerator.log(losses | {"learning_rate": learning_rate, "grad_norm": grad_norm}, step=self.step)
            yield record

    def save_previews(self) -> None:
        """Writes samples of the averaged weights; the main process only."""
        if self.accelerator.is_main_process:
            with self._averaged_weights(), skipping_damaged(self._preview_data, "samples"):
                write_previews(self._preview_pipeline(), self._preview_data, self.output / SAMPLES_NAME, self.step)
        self.accelerator.wait_for_everyone()

    @contextmanager
    def _averaged_weights(self) -> Iterator[None]:
        """Gives the networks their averaged weights for the time of the block."""
        if self.ema is None:
            yield
            return
        self.ema.store(self._trained)
        self.ema.copy_to(self._trained)
        try:
            yield
        finally:
            self.ema.restore(self._trained)

    # Steps

    @property
    def _samples_per_step(self) -> int:
        config = self.config
        return config.train_batch_size * config.gradient_accumulation_steps * self.accelerator.num_processes

    def _train_step(self, batches: Iterator[dict]) -> tuple[dict[str, float], float]:
        """Makes one step of the optimizers; returns the mean losses and the norm of the gradients."""
        count = self.config.gradient_accumulation_steps
        sums: dict[str, torch.Tensor] = {}
        for micro in range(count):
            samples = {name: values.to(self.device) for name, values in next(batches).items()}
            for name, loss in self._accumulate(samples, is_last=micro == count - 1).items():
                sums[name] = sums.get(name, 0) + loss.detach() / count
        grad_norm = self._clip_gradients(self._trained)
        losses = self._averaged_over_processes(sums)
        is_finite = self._can_step([*losses.values(), grad_norm, self._discriminator_norm()])
        for optimizer in self._optimizers.values():
            if is_finite or self.accelerator.scaler is not None:  # a gradient scaler skips the step by itself
                optimizer.step()
            optimizer.zero_grad()
        if self.ema is not None and is_finite:
            self.ema.step(self._trained)
        return losses, grad_norm

    def _discriminator_norm(self) -> float:
        """Returns the norm of the discriminator's gradients; 0 if there is none, or if a gradient scaler checks it."""
        if self._discriminator is None or self.accelerator.scaler is not None:
            return 0.0
        return torch.nn.utils.get_total_norm(
            [weight.grad for weight in self._discriminator.parameters() if weight.grad is not None]
        ).item()

    def _accumulate(self, samples: dict[str, torch.Tensor], is_last: bool) -> dict[str, torch.Tensor]:
        """Adds the gradients of one micro-batch; with the last one, processes average theirs."""
        batch = self._noisy_batch(samples)
        judge = self.accelerator.unwrap_model(self._discriminator) if self._discriminator else None
        if judge is not None:
            judge.requires_grad_(False)
        with nullcontext() if is_last else self.accelerator.no_sync(self._denoiser):
            losses, painted = self.objective(self._denoiser(batch), batch, samples["sync_mel"], judge)
            self.accelerator.backward(losses["total"])
        if judge is not None and self._discriminator is not None:
            judge.requires_grad_(True)
            with nullcontext() if is_last else self.accelerator.no_sync(self._discriminator):
                loss = self.objective.of_discriminator(self._discriminator, batch, painted)
                self.accelerator.backward(loss)
            losses["discriminator"] = loss
        return losses

    def _set_learning_rates(self) -> float:
        """Sets the learning rates of this step; returns the denoiser's."""
        factor = learning_rate_factor(self.config, self.step)
        rates = {"denoiser": self.config.learning_rate, "discriminator": self.config.discriminator_learning_rate}
        for name, optimizer in self._optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = rates[name] * factor
        return rates["denoiser"] * factor

    def _training_set(self) -> TrainingSet:
        """Returns the samples that the run trains on."""
        return training_set(self.config, self.size_px)

    def _load_teaching(self) -> None:
        """Sets `objective`, and loads what it needs."""
        raise NotImplementedError

    def _noisy_batch(self, samples: dict[str, torch.Tensor]) -> NoisyBatch:
        """Returns the denoiser's input for some samples."""
        raise NotImplementedError

    # Networks

    def _first_denoiser(self) -> Denoiser:
        """Returns the networks that the run starts with."""
        raise NotImplementedError

    def _pipeline(self) -> Diff2LipPipeline:
        """Returns the pipeline that the run saves; it shares the trained weights."""
        return self.denoiser.pipeline()

    def _preview_pipeline(self) -> Diff2LipPipeline:
        """Returns the pipeline that paints the previews; it shares the trained weights."""
        return self._pipeline()

    def _make_networks(self, denoiser: Denoiser) -> None:
        config = self.config
        self._trained = [weight for weight in denoiser.parameters() if weight.requires_grad]
        optimizer = torch.optim.AdamW(
            self._trained, lr=config.learning_rate, weight_decay=config.adam_weight_decay, foreach=True
        )
        self._denoiser, optimizer = self.accelerator.prepare(denoiser, optimizer)
        self._optimizers, self._discriminator = {"denoiser": optimizer}, None
        self.ema = self._make_ema() if config.use_ema else None
        if config.uses_discriminator:
            with torch.random.fork_rng(devices=()):
                torch.manual_seed(config.seed)
                discriminator = SequenceDiscriminator(
                    config.frames_per_sample,
                    sees_reference=config.discriminator_sees_reference,
                    detail_gain=config.discriminator_detail_gain,
                )
            rate, betas = config.discriminator_learning_rate, (0.5, 0.999)
            optimizer = torch.optim.AdamW(discriminator.parameters(), lr=rate, betas=betas, foreach=True)
            self._discriminator, self._optimizers["discriminator"] = self.accelerator.prepare(discriminator, optimizer)

    def _make_ema(self) -> EMAModel:
        # Decays of 1 - step ** -3/4 suit runs of less than a million steps.
        ema = EMAModel(self._trained, self.config.ema_decay, use_ema_warmup=True, power=3 / 4, foreach=True)
        ema.to(self.device)
        return ema

    def _unwrap_networks(self) -> None:
        self._denoiser = self.denoiser
        if self._discriminator is not None:
            self._discriminator = self.accelerator.unwrap_model(self._discriminator)

    # Files

    def _save_result(self) -> None:
        """Writes the averaged weights as a pipeline folder or an adapter."""
        with self._averaged_weights():
            if self.config.lora is not None:
                save_lora(self.denoiser.unet, self.output / LORA_NAME, self.config.init_from)
            else:
                settings = self.output / CONFIG_NAME
                save_model_folder(self._pipeline(), self.output / MODEL_NAME, self.step, settings)

    def _state(self) -> dict[str, Any]:
        state = {
            "step": self.step,
            "samples": self.samples,
            "denoiser": _trained_state(self.denoiser),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self._optimizers.items()},
        }
        if self.ema is not None:
            state["ema"] = self.ema.state_dict()
        if self._discriminator is not None:
            state["discriminator"] = self.accelerator.unwrap_model(self._discriminator).state_dict()
        return state

    def _load(self, state: dict[str, Any]) -> None:
        _load_trained_state(self.denoiser, state["denoiser"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
            self.ema.to(self.device)
        for name, optimizer in self._optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        if self._discriminator is not None:
            self.accelerator.unwrap_model(self._discriminator).load_state_dict(state["discriminator"])
        self.step, self.samples = state["step"], state["samples"]


def training_set(config: DenoiserConfig, size_px: int, kind: Callable[..., TrainingSet] = TrainingSet) -> TrainingSet:
    """Returns the samples that a run trains on, of a kind of training set."""
    return kind(
        config.folders,
        size_px,
        config.frames_per_sample,
        held_out_fraction=config.held_out_fraction,
        augmentation=Augmentation(config.jitter, config.random_flip, config.color_jitter),
        seed=config.seed,
        cache=config.cache,
        cache_px=config.cache_px,
        reader=config.reader,
    )


def preview_set(config: DenoiserConfig, size_px: int) -> TrainingSet:
    """Returns the clips for previews: those of held-out identities, or all clips if none is held out."""
    fraction = config.held_out_fraction
    identities = {clip.identity for folder in config.folders for clip in find_clips(folder)[0]}
    split = "held-out" if any(is_held_out(identity, fraction) for identity in identities) else "all"
    return TrainingSet(config.folders, size_px, 1, split=split, held_out_fraction=fraction, reader=config.reader)


def _accelerator(config: DenoiserConfig) -> Accelerator:
    tracker = config.report_to
    if tracker == "tensorboard" and not is_tensorboard_available():
        logger.warning("TensorBoard is off: it is not installed (pip install tensorboard)")
        tracker = "none"
    return make_accelerator(
        config.mixed_precision,
        gradient_accumulation_steps=config.gradient_accumulation_steps,
        log_with=None if tracker == "none" else tracker,
        project_dir=config.output,
    )


def _trained_state(denoiser: Denoiser) -> dict[str, torch.Tensor]:
    return {name: weight.detach() for name, weight in denoiser.named_parameters() if weight.requires_grad}


def _load_trained_state(denoiser: Denoiser, state: dict[str, torch.Tensor]) -> None:
    weights = {name: weight for name, weight in denoiser.named_parameters() if weight.requires_grad}
    if weights.keys() != state.keys():
        raise KeyError("other weights")
    for name, weight in weights.items():
        if weight.shape != state[name].shape:
            raise ValueError(f"{name} has another shape")
        weight.data.copy_(state[name])
