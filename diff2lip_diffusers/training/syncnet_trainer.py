"""The training loop of the SyncNet, as a generator of step records."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from ..errors import Diff2LipError, MediaError
from ..output_paths import filling_folder
from ..syncnet import SYNC_FRAMES, SyncNet, load_syncnet
from .checkpoints import save_checkpoint
from .run_folder import MODEL_NAME, end_run, go_on, make_accelerator, open_run_folder, with_scaler
from .sync_accuracy import SyncAccuracy, measure_pairs, sync_accuracy
from .sync_windows import balanced_loss, contrastive_loss, is_silent, windows_of
from .syncnet_config import SyncNetTrainConfig
from .trainer import StepRecord, learning_rate_factor
from .training_set import NO_AUGMENTATION, Augmentation, SampleNumbers, TrainingSet

MEL_LIMIT = 4.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SyncNetRecord(StepRecord):
    """What one step came to. Of the losses, `bce` is ln 2 = 0.69 for a guess, and `total` what is minimised.

    Attributes:
        held_out: accuracy on held-out identities at a similarity of 0.5, pairs of silence and silence left out, where
            it was measured.
    """

    held_out: SyncAccuracy | None = None


def train_syncnet(config: SyncNetTrainConfig, resume: bool = True) -> Iterator[SyncNetRecord]:
    """Trains, one record a step; checkpoints, and the SyncNet's folder, are written on the way and at the end.

    Args:
        config: the run.
        resume: whether to go on from the newest checkpoint in `config.output`; otherwise those are removed.

    Raises:
        Diff2LipError: if the data, a network or a folder cannot be used.
    """
    trainer = SyncNetTrainer(config, resume)
    try:
        yield from trainer.run()
    finally:
        trainer.close()


class SyncNetTrainer:
    """A run: the network, its optimiser, the data, and how far it is.

    Args:
        config: the run.
        resume: as in [`train_syncnet`].
    """

    def __init__(self, config: SyncNetTrainConfig, resume: bool = True):
        self.config, self.output = config, Path(config.output)
        self.accelerator = make_accelerator(config.mixed_precision)
        syncnet = make_syncnet(config)
        self.data = sync_set(config, syncnet.config.input_size)
        self.held_out = _held_out(config, syncnet.config.input_size)
        open_run_folder(self.accelerator, self.output, config, resume)
        optimizer = torch.optim.AdamW(
            syncnet.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, foreach=True
        )
        self._syncnet, self._optimizer = self.accelerator.prepare(syncnet, optimizer)
        self.step = 0
        if resume:
            go_on(self.accelerator, self.output, self._load)

    @property
    def syncnet(self) -> SyncNet:
        """The trained network itself."""
        return self.accelerator.unwrap_model(self._syncnet)

    def run(self) -> Iterator[SyncNetRecord]:
        """The steps that are left, then the finished network."""
        batches = self._batches()
        while self.step < self.config.steps:
            start = time.perf_counter()
            self.step += 1
            learning_rate = self.config.learning_rate * learning_rate_factor(self.config, self.step)
            for group in self._optimizer.param_groups:
                group["lr"] = learning_rate
            losses, grad_norm = self._train_step(next(batches))
            seconds = time.perf_counter() - start
            held_out = self.measure() if self._is_due(self.config.evaluate_every) else None
            if self._is_due(self.config.checkpoint_every):
                self.save()
            yield SyncNetRecord(self.step, losses, learning_rate, grad_norm, seconds, held_out)
        if not (self.output / MODEL_NAME / "config.json").is_file():
            self.save()

    def measure(self) -> SyncAccuracy | None:
        """The accuracy on held-out identities, by the main process; None where there are none."""
        if self.held_out is None or not self.accelerator.is_main_process:
            return None
        self.syncnet.eval()
        accuracy = sync_accuracy(measure_pairs(self.syncnet, self.held_out).only_tellable())
        self.syncnet.train()
        return accuracy

    def save(self) -> None:
        """Writes a checkpoint, and the network as a folder; the main process only."""
        if self.accelerator.is_main_process:
            save_checkpoint(self.output, self.step, self._state(), self.config.keep_checkpoints)
            save_syncnet(self.syncnet, self.output / MODEL_NAME)
        self.accelerator.wait_for_everyone()

    def close(self) -> None:
        """Leaves the other processes: there are no steps after this."""
        self._syncnet = self.syncnet
        end_run(self.accelerator)

    def _is_due(self, every: int) -> bool:
        return bool(every) and (self.step % every == 0 or self.step == self.config.steps)

    def _batches(self) -> Iterator[dict[str, torch.Tensor]]:
        process, num_processes = self.accelerator.process_index, self.accelerator.num_processes
        batch_size = self.config.clips_per_batch
        numbers = SampleNumbers(self.step * batch_size * num_processes, batch_size, process, num_processes)
        return iter(DataLoader(self.data, batch_size, sampler=numbers, num_workers=self.config.num_workers))

    def _train_step(self, samples: dict[str, torch.Tensor]) -> tuple[dict[str, float], float]:
        """One step of the optimiser: the losses, and the norm of the gradients."""
        config, device = self.config, self.accelerator.device
        frames, mel = samples["frames"].to(device), self._as_loud(samples["mel_windows"]).to(device)
        face_embeds, audio_embeds = self._syncnet(*windows_of(self.syncnet, frames, mel))
        # Unit vectors, so that products are cosines; nothing is negative behind a ReLU.
        similarity = (face_embeds @ audio_embeds.T).clamp(0, 1)
        silent = is_silent(mel[:, 1::SYNC_FRAMES]).flatten()
        losses = {"bce": balanced_loss(similarity, silent, config.windows_per_clip, config.other_clips)}
        losses["total"] = losses["bce"]
        if config.contrastive:
            losses["contrastive"] = contrastive_loss(similarity, silent, config.windows_per_clip)
            losses["total"] = losses["total"] + config.contrastive * losses["contrastive"]
        self.accelerator.backward(losses["total"])
        grad_norm = float("nan")
        if config.max_grad_norm is not None:
            grad_norm = self.accelerator.clip_grad_norm_(self._syncnet.parameters(), config.max_grad_norm).item()
        self._optimizer.step()
        self._optimizer.zero_grad()
        means = self.accelerator.reduce(torch.stack([loss.detach() for loss in losses.values()]), "mean").tolist()
        return dict(zip(losses, means, strict=True)), grad_norm

    def _as_loud(self, mel_windows: torch.Tensor) -> torch.Tensor:
        """Stretches (B, T, 80, 16) each louder or softer, by what the seed, the step and the process decide."""
        rng = np.random.default_rng((self.config.seed, self.step, self.accelerator.process_index))
        jitter = self.config.loudness_jitter
        change = torch.from_numpy(rng.uniform(-jitter, jitter, (len(mel_windows), 1, 1, 1)).astype(np.float32))
        return (mel_windows + change).clamp(-MEL_LIMIT, MEL_LIMIT)

    def _state(self) -> dict:
        state = {
            "step": self.step,
            "syncnet": self.syncnet.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }
        return with_scaler(self.accelerator, state)

    def _load(self, state: dict) -> None:
        self.syncnet.load_state_dict(state["syncnet"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]


def make_syncnet(config: SyncNetTrainConfig) -> SyncNet:
    """The network that a run begins with, in training mode: that of `init_from`, or a new one drawn by the seed."""
    if config.init_from is not None:
        return load_syncnet(config.init_from).train()
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(config.seed)
        return SyncNet(config.input_size, config.block_out_channels, config.embed_dim).train()


def sync_set(
    config: SyncNetTrainConfig, input_size: int, split: str = "train", augmentation: Augmentation | None = None
) -> TrainingSet:
    """The stretches of one split, as a run sees them."""
    return TrainingSet(
        config.folders,
        input_size,
        config.windows_per_clip * SYNC_FRAMES,
        split=split,
        held_out_fraction=config.held_out_fraction,
        augmentation=augmentation or Augmentation(config.jitter, config.flip, config.colour_jitter),
        seed=config.seed,
        cache=config.cache,
        cache_px=input_size,
        reader=config.reader,
    )


def _held_out(config: SyncNetTrainConfig, input_size: int) -> TrainingSet | None:
    """The held-out clips; None, and a line in the log, where there are none."""
    if not config.evaluate_every:
        return None
    try:
        return sync_set(config, input_size, "held-out", NO_AUGMENTATION)
    except MediaError:
        raise
    except Diff2LipError as error:
        logger.warning("the accuracy on held-out identities is not measured: %s", error)
        return None


def save_syncnet(syncnet: SyncNet, folder: Path) -> None:
    """Writes a SyncNet's folder, each file whole or not at all.

    Raises:
        MediaError: if it cannot be written.
    """
    with filling_folder(folder) as hidden:
        syncnet.save_pretrained(hidden)
