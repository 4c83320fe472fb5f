"""Training loop of the SyncNet, as a generator of step records."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import Diff2LipError, MediaError
from ..output_paths import filling_folder
from ..syncnet import SYNC_FRAMES, SyncNet, load_syncnet
from .damaged_clips import skipping_damaged
from .run_folder import MODEL_NAME, make_accelerator
from .sync_accuracy import SyncAccuracy, measure_pairs, sync_accuracy
from .sync_windows import balanced_loss, contrastive_loss, is_silent, windows_of
from .syncnet_config import SyncNetTrainConfig
from .training_run import StepRecord, TrainingRun, learning_rate_factor
from .training_set import NO_AUGMENTATION, Augmentation, TrainingSet

MEL_LIMIT = 4.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SyncNetRecord(StepRecord):
    """The outcome of one step. The loss `bce` is ln 2 = 0.69 for a guess; `total` is what is minimized.

    Attributes:
        held_out: accuracy on held-out identities with the threshold 0.5, without pairs in which both windows are
            silent; None if it was not measured at this step.
    """

    held_out: SyncAccuracy | None = None


def train_syncnet(config: SyncNetTrainConfig, resume: bool = True) -> Iterator[SyncNetRecord]:
    """Trains and yields one record per step; writes checkpoints and the SyncNet's folder on the way and at the end.

    Args:
        config: settings of the run.
        resume: whether to resume from the newest checkpoint in `config.output`; otherwise checkpoints are removed.

    Raises:
        Diff2LipError: if the data, a network or a folder cannot be used.
    """
    trainer = SyncNetTrainer(config, resume)
    try:
        yield from trainer.run()
    finally:
        trainer.close()


class SyncNetTrainer(TrainingRun[SyncNetTrainConfig]):
    """A run of the SyncNet's training: network, optimizer, data and progress.

    Args:
        config: settings of the run.
        resume: as in [`train_syncnet`].
    """

    def __init__(self, config: SyncNetTrainConfig, resume: bool = True):
        super().__init__(config, make_accelerator(config.mixed_precision))
        syncnet = make_syncnet(config)
        self.data = sync_set(config, syncnet.config["input_size"])
        self.held_out = _held_out(config, syncnet.config["input_size"])
        optimizer = torch.optim.AdamW(
            syncnet.parameters(), lr=config.learning_rate, weight_decay=config.adam_weight_decay, foreach=True
        )
        self._syncnet, self._optimizer = self.accelerator.prepare(syncnet, optimizer)
        self._start(resume)

    @property
    def syncnet(self) -> SyncNet:
        """The trained network itself."""
        return self.accelerator.unwrap_model(self._syncnet)

    def run(self) -> Iterator[SyncNetRecord]:
        """Trains the remaining steps, and writes the network if it is not there."""
        clips = self.config.clips_per_batch
        batches = self._batches(self.step * clips * self.accelerator.num_processes, clips)
        while self.step < self.config.max_train_steps:
            start = time.perf_counter()
            self.step += 1
            learning_rate = self.config.learning_rate * learning_rate_factor(self.config, self.step)
            for group in self._optimizer.param_groups:
                group["lr"] = learning_rate
            losses, grad_norm = self._train_step(next(batches))
            seconds = time.perf_counter() - start
            self._stop_if_damaged()
            held_out = self.measure() if self._is_due(self.config.validation_steps) else None
            if self._is_due(self.config.checkpointing_steps):
                self.save()
            yield SyncNetRecord(self.step, losses, learning_rate, grad_norm, seconds, held_out)
        if not (self.output / MODEL_NAME / "config.json").is_file():
            self.save()

    def measure(self) -> SyncAccuracy | None:
        """Returns the accuracy on held-out identities, on the main process; None if there are none."""
        if self.held_out is None or not self.accelerator.is_main_process:
            return None
        self.syncnet.eval()
        accuracy = None
        with skipping_damaged(self.held_out, "accuracy on held-out identities"):
            accuracy = sync_accuracy(measure_pairs(self.syncnet, self.held_out).only_tellable())
        self.syncnet.train()
        return accuracy

    def _train_step(self, samples: dict[str, torch.Tensor]) -> tuple[dict[str, float], float]:
        """Makes one step of the optimizer; returns the losses and the norm of the gradients."""
        config = self.config
        frames = samples["frames"].to(self.device)
        mel = self._with_random_loudness(samples["mel_windows"]).to(self.device)
        face_embeds, audio_embeds = self._syncnet(*windows_of(self.syncnet, frames, mel))
        # Products of unit vectors are cosines. No element is negative after a ReLU.
        similarity = (face_embeds @ audio_embeds.T).clamp(0, 1)
        silent = is_silent(mel[:, 1::SYNC_FRAMES]).flatten()
        # The cross-entropy refuses what is not a number, and the step is to be skipped instead: its loss is made one.
        not_a_number, similarity = 0 * similarity.sum(), similarity.nan_to_num()
        losses = {"bce": balanced_loss(similarity, silent, config.windows_per_clip, config.other_clips_weight)}
        losses["total"] = losses["bce"] + not_a_number
        if config.contrastive_weight:
            losses["contrastive"] = contrastive_loss(similarity, silent, config.windows_per_clip)
            losses["total"] = losses["total"] + config.contrastive_weight * losses["contrastive"]
        self.accelerator.backward(losses["total"])
        grad_norm = self._clip_gradients(self._syncnet.parameters())
        means = self._averaged_over_processes({name: loss.detach() for name, loss in losses.items()})
        if self._can_step([*means.values(), grad_norm]) or self.accelerator.scaler is not None:
            self._optimizer.step()  # a gradient scaler skips the step by itself
        self._optimizer.zero_grad()
        return means, grad_norm

    def _with_random_loudness(self, mel_windows: torch.Tensor) -> torch.Tensor:
        """Returns stretches (B, T, 80, 16), each louder or softer; seed, step and process decide by how much."""
        rng = np.random.default_rng((self.config.seed, self.step, self.accelerator.process_index))
        jitter = self.config.loudness_jitter
        change = torch.from_numpy(rng.uniform(-jitter, jitter, (len(mel_windows), 1, 1, 1)).astype(np.float32))
        return (mel_windows + change).clamp(-MEL_LIMIT, MEL_LIMIT)

    def _unwrap_networks(self) -> None:
        self._syncnet = self.syncnet

    def _save_result(self) -> None:
        save_syncnet(self.syncnet, self.output / MODEL_NAME)

    def _state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "syncnet": self.syncnet.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }

    def _load(self, state: dict[str, Any]) -> None:
        self.syncnet.load_state_dict(state["syncnet"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]


def make_syncnet(config: SyncNetTrainConfig) -> SyncNet:
    """Returns the network of `init_from`, or a new one drawn with the seed, in training mode."""
    if config.init_from is not None:
        return load_syncnet(config.init_from).train()
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(config.seed)
        return SyncNet(config.input_size, config.block_out_channels, config.embed_dim).train()


def sync_set(
    config: SyncNetTrainConfig, input_size: int, split: str = "train", augmentation: Augmentation | None = None
) -> TrainingSet:
    """Returns the stretches of one split, as a run sees them."""
    return TrainingSet(
        config.folders,
        input_size,
        config.windows_per_clip * SYNC_FRAMES,
        split=split,
        held_out_fraction=config.held_out_fraction,
        augmentation=augmentation or Augmentation(config.jitter, config.random_flip, config.color_jitter),
        seed=config.seed,
        cache=config.cache,
        cache_px=input_size,
        reader=config.reader,
    )


def _held_out(config: SyncNetTrainConfig, input_size: int) -> TrainingSet | None:
    """Returns the held-out clips; None, with a warning, if there are none."""
    if not config.validation_steps:
        return None
    try:
        return sync_set(config, input_size, "held-out", NO_AUGMENTATION)
    except MediaError:
        raise
    except Diff2LipError as error:
        logger.warning("the accuracy on held-out identities is not measured: %s", error)
        return None


def save_syncnet(syncnet: SyncNet, folder: Path) -> None:
    """Writes a SyncNet's folder, each file complete or not at all.

    Raises:
        MediaError: if it cannot be written.
    """
    with filling_folder(folder) as hidden:
        syncnet.save_pretrained(hidden)
