"""The training loop of the diffusion model, as a generator of step records."""

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import is_tensorboard_available
from diffusers.training_utils import EMAModel
from torch.utils.data import DataLoader

from .checkpoints import save_checkpoint
from .config import TrainConfig
from .denoiser import Denoiser, check_size_px, make_denoiser
from .diffusion import Diffusion
from .discriminator import SequenceDiscriminator
from .lora import save_lora
from .model_folder import save_model_folder
from .objective import Objective, load_experts
from .previews import write_previews
from .run_folder import CONFIG_NAME, MODEL_NAME, end_run, go_on, make_accelerator, open_run_folder, with_scaler
from .training_clips import find_clips, is_held_out
from .training_set import Augmentation, SampleNumbers, TrainingSet

LORA_NAME, SAMPLES_NAME = "lora", "samples"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StepRecord:
    """What one step of the optimiser came to, averaged over all processes.

    Attributes:
        step: its number, from 1.
        losses: by name, unweighted; `total` is the weighted sum, and `discriminator` that network's own.
        learning_rate: of the step.
        grad_norm: of all gradients, before clipping; nan where they are not clipped.
        seconds: it took.
    """

    step: int
    losses: dict[str, float]
    learning_rate: float
    grad_norm: float
    seconds: float


def train(config: TrainConfig, resume: bool = True) -> Iterator[StepRecord]:
    """Trains, one record a step; checkpoints, and the model folder, are written on the way and at the end.

    Args:
        config: the run.
        resume: whether to go on from the newest checkpoint in `config.output`; otherwise those are removed.

    Raises:
        Diff2LipError: if the data, a model or a folder cannot be used.
        ValueError: if loaded weights or the crop size do not fit the configuration.
    """
    trainer = Trainer(config, resume)
    try:
        yield from trainer.run()
    finally:
        trainer.close()


class Trainer:
    """A run: the networks, their optimisers and averages, the data, and how far it is.

    Args:
        config: the run.
        resume: as in [`train`].
    """

    def __init__(self, config: TrainConfig, resume: bool = True):
        self.config, self.output = config, Path(config.output)
        self.accelerator = _accelerator(config)
        self.device = self.accelerator.device
        denoiser = make_denoiser(config)
        self.size_px = config.size_px or denoiser.unet.config.sample_size
        check_size_px(self.size_px, denoiser)
        self.data = training_set(config, self.size_px)
        self._shown = shown_set(config, self.size_px)
        self.diffusion = Diffusion(config.timestep_focus, config.timestep_range)
        self.objective = Objective(config, self.diffusion, load_experts(config, self.device))
        self.step = self.samples = 0
        self._make_networks(denoiser)
        if resume:
            go_on(self.accelerator, self.output, self._load)
        open_run_folder(self.accelerator, self.output, config, resume)
        if self.accelerator.log_with:
            self.accelerator.init_trackers("diff2lip")

    @property
    def denoiser(self) -> Denoiser:
        """The trained module itself."""
        return self.accelerator.unwrap_model(self._denoiser)

    def run(self) -> Iterator[StepRecord]:
        """The steps that are left, then the finished model."""
        batches = self._batches()
        while self.step < self.config.steps:
            start = time.perf_counter()
            self.step += 1
            learning_rate = self._set_learning_rates()
            losses, grad_norm = self._train_step(batches)
            self.samples += self._samples_per_step
            is_last = self.step == self.config.steps
            if self.step % self.config.checkpoint_every == 0 or is_last:
                self.save()
            if self.config.sample_every and (self.step % self.config.sample_every == 0 or is_last):
                self.show()
            record = StepRecord(self.step, losses, learning_rate, grad_norm, time.perf_counter() - start)
            self.accelerator.log(losses | {"learning_rate": learning_rate, "grad_norm": grad_norm}, step=self.step)
            yield record

    def save(self) -> None:
        """Writes a checkpoint, and the averaged weights as a pipeline folder or adapter; the main process only."""
        if self.accelerator.is_main_process:
            save_checkpoint(self.output, self.step, self._state(), self.config.keep_checkpoints)
            with self._averaged():
                if self.config.lora is not None:
                    save_lora(self.denoiser.unet, self.output / LORA_NAME)
                else:
                    settings = self.output / CONFIG_NAME
                    save_model_folder(self.denoiser.pipeline(), self.output / MODEL_NAME, self.step, settings)
        self.accelerator.wait_for_everyone()

    def show(self) -> None:
        """Writes samples of the averaged weights; the main process only."""
        if self.accelerator.is_main_process:
            with self._averaged():
                write_previews(self.denoiser.pipeline(), self._shown, self.output / SAMPLES_NAME, self.step)
        self.accelerator.wait_for_everyone()

    def close(self) -> None:
        """Closes the trackers and leaves the other processes: there are no steps after this."""
        self._denoiser = self.denoiser
        if self._discriminator is not None:
            self._discriminator = self.accelerator.unwrap_model(self._discriminator)
        end_run(self.accelerator)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Within it the networks have their averaged weights."""
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
        return config.batch_size * config.gradient_accumulation_steps * self.accelerator.num_processes

    def _batches(self) -> Iterator[dict[str, torch.Tensor]]:
        process, num_processes = self.accelerator.process_index, self.accelerator.num_processes
        batch_size, workers = self.config.batch_size, self.config.num_workers
        numbers = SampleNumbers(self.samples, batch_size, process, num_processes)
        return iter(DataLoader(self.data, batch_size, sampler=numbers, num_workers=workers))

    def _train_step(self, batches: Iterator[dict]) -> tuple[dict[str, float], float]:
        """One step of the optimisers: the mean losses, and the norm of the gradients."""
        count = self.config.gradient_accumulation_steps
        sums: dict[str, torch.Tensor] = {}
        for micro in range(count):
            samples = {name: values.to(self.device) for name, values in next(batches).items()}
            for name, loss in self._accumulate(samples, is_last=micro == count - 1).items():
                sums[name] = sums.get(name, 0) + loss.detach() / count
        grad_norm = float("nan")
        if self.config.max_grad_norm is not None:
            grad_norm = self.accelerator.clip_grad_norm_(self._trained, self.config.max_grad_norm).item()
        for optimizer in self._optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
        self.ema.step(self._trained)
        means = self.accelerator.reduce(torch.stack(list(sums.values())), "mean").tolist()
        return dict(zip(sums, means, strict=True)), grad_norm

    def _accumulate(self, samples: dict[str, torch.Tensor], is_last: bool) -> dict[str, torch.Tensor]:
        """Adds the gradients of one micro-batch; those of the last are averaged over the processes."""
        batch = self.diffusion.noisy_batch(samples)
        judge = self.accelerator.unwrap_model(self._discriminator) if self._discriminator else None
        if judge is not None:
            judge.requires_grad_(False)
        with nullcontext() if is_last else self.accelerator.no_sync(self._denoiser):
            losses, painted = self.objective(self._denoiser(batch), batch, samples["sync_mel"], judge)
            self.accelerator.backward(losses["total"])
        if judge is not None:
            judge.requires_grad_(True)
            with nullcontext() if is_last else self.accelerator.no_sync(self._discriminator):
                loss = self.objective.of_discriminator(self._discriminator, batch, painted)
                self.accelerator.backward(loss)
            losses["discriminator"] = loss
        return losses

    def _set_learning_rates(self) -> float:
        factor = learning_rate_factor(self.config, self.step)
        rates = {"denoiser": self.config.learning_rate, "discriminator": self.config.discriminator_learning_rate}
        for name, optimizer in self._optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = rates[name] * factor
        return rates["denoiser"] * factor

    # Beginning

    def _make_networks(self, denoiser: Denoiser) -> None:
        config = self.config
        self._trained = [weight for weight in denoiser.parameters() if weight.requires_grad]
        optimizer = torch.optim.AdamW(
            self._trained, lr=config.learning_rate, weight_decay=config.weight_decay, foreach=True
        )
        self._denoiser, optimizer = self.accelerator.prepare(denoiser, optimizer)
        self._optimizers, self._discriminator = {"denoiser": optimizer}, None
        # Decays of 1 - step ** -3/4 suit runs of less than a million steps.
        self.ema = EMAModel(self._trained, config.ema_decay, use_ema_warmup=True, power=3 / 4, foreach=True)
        self.ema.to(self.device)
        if config.uses_discriminator:
            with torch.random.fork_rng(devices=()):
                torch.manual_seed(config.seed)
                discriminator = SequenceDiscriminator(config.frames_per_sample)
            rate, betas = config.discriminator_learning_rate, (0.5, 0.999)
            optimizer = torch.optim.AdamW(discriminator.parameters(), lr=rate, betas=betas, foreach=True)
            self._discriminator, self._optimizers["discriminator"] = self.accelerator.prepare(discriminator, optimizer)

    # States

    def _state(self) -> dict:
        state = {
            "step": self.step,
            "samples": self.samples,
            "denoiser": _trained_state(self.denoiser),
            "ema": self.ema.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self._optimizers.items()},
        }
        if self._discriminator is not None:
            state["discriminator"] = self.accelerator.unwrap_model(self._discriminator).state_dict()
        return with_scaler(self.accelerator, state)

    def _load(self, state: dict) -> None:
        _load_trained_state(self.denoiser, state["denoiser"])
        self.ema.load_state_dict(state["ema"])
        self.ema.to(self.device)
        for name, optimizer in self._optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        if self._discriminator is not None:
            self.accelerator.unwrap_model(self._discriminator).load_state_dict(state["discriminator"])
        self.step, self.samples = state["step"], state["samples"]


def training_set(config: TrainConfig, size_px: int) -> TrainingSet:
    """The samples that a run trains on."""
    return TrainingSet(
        config.folders,
        size_px,
        config.frames_per_sample,
        held_out_fraction=config.held_out_fraction,
        augmentation=Augmentation(config.jitter, config.flip, config.colour_jitter),
        seed=config.seed,
        cache=config.cache,
        cache_px=config.cache_px,
        reader=config.reader,
    )


def shown_set(config: TrainConfig, size_px: int) -> TrainingSet:
    """The clips that a run shows samples of: those of held-out identities, or of all where none is held out."""
    fraction = config.held_out_fraction
    identities = {clip.identity for folder in config.folders for clip in find_clips(folder)[0]}
    split = "held-out" if any(is_held_out(identity, fraction) for identity in identities) else "all"
    return TrainingSet(config.folders, size_px, 1, split=split, held_out_fraction=fraction, reader=config.reader)


def learning_rate_factor(config: TrainConfig, step: int) -> float:
    """What the learning rates of a step, from 1, are multiplied with: rising in the warm-up, then as the schedule has
    it."""
    factor = min(1.0, step / config.warmup_steps) if config.warmup_steps else 1.0
    if config.learning_rate_schedule == "cosine":
        factor *= (1 + math.cos(math.pi * (step - 1) / config.steps)) / 2
    return factor


def _accelerator(config: TrainConfig) -> Accelerator:
    tracker = config.tracker
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
