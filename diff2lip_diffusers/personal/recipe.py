"""The training settings of a personal model, and how many steps fit into its time."""

import tempfile
import time
from dataclasses import replace
from pathlib import Path

from ..training.config import TrainConfig
from ..training.lora import LoraSettings
from ..training.trainer import Trainer
from .base_weights import BaseWeights
from .options import PersonalizeOptions

# Evaluated and saved so many times in a run; the best is often among the last ones.
EVALUATIONS = 10
FULL_RATE, LORA_RATE = 6e-4, 2e-3
# An adapter for a new face must change what the picture looks like, not only where it looks: all convolutions.
LORA_MODULES = ("to_q", "to_k", "to_v", "to_out.0", "conv1", "conv2", "conv_shortcut", "time_emb_proj")
# Share of the time for which steps are planned. The rest is for judging held-out frames, previews, the report, and for
# a machine that gets slower.
TRAINING_SHARE = 0.75
TIMED_STEPS = 4


def train_config(options: PersonalizeOptions, base: BaseWeights, data: Path, output: Path, steps: int) -> TrainConfig:
    """Returns the settings of a run; none of them depends on the size of the model or of its crops.

    Args:
        options: of the personal model.
        base: the weights that the run starts from.
        data: the training set.
        output: folder of the run.
        steps: number of steps.
    """
    rank = options.lora_rank
    lora = LoraSettings(rank=rank, alpha=float(rank), target_modules=LORA_MODULES) if rank else None
    return TrainConfig(
        data=str(data),
        output=str(output),
        max_train_steps=steps,
        init_from=str(options.model),
        freeze_audio_encoder=options.freeze_audio_encoder,
        # A frozen encoder without the embedding would use that of silence, and silence must keep its own mouth.
        audio_dropout=0.0 if options.freeze_audio_encoder and not base.has_null_embeds else 0.1,
        lora=lora,
        frames_per_sample=1,
        train_batch_size=options.train_batch_size,
        mixed_precision=options.mixed_precision,
        learning_rate=options.learning_rate or (LORA_RATE if rank else FULL_RATE),
        lr_scheduler="cosine",
        lr_warmup_steps=min(50, -(-steps // 10)),
        ema_decay=0.998,
        seed=options.seed,
        losses="simple",
        extra_mouth_weight=3.0,
        timestep_bias_strategy="range",
        timestep_bias_multiplier=2.7,
        timestep_bias_begin=250,
        timestep_bias_end=850,
        held_out_fraction=0.0,
        cache="memory",
        checkpointing_steps=-(-steps // EVALUATIONS),
        checkpoints_total_limit=1,
        validation_steps=0,
        report_to="none",
    )


def steps_that_fit(options: PersonalizeOptions, base: BaseWeights, data: Path) -> int:
    """Returns the number of steps that fit into the time, by the duration of a few steps on this machine.

    Raises:
        Diff2LipError: if the weights cannot be trained.
    """
    with tempfile.TemporaryDirectory() as folder:
        config = train_config(options, base, data, Path(folder), TIMED_STEPS)
        config = replace(config, checkpointing_steps=TIMED_STEPS + 1)
        trainer = Trainer(config, resume=False)
        try:
            # The first step is slower than the others.
            times = [time.perf_counter() for _, _ in zip(trainer.run(), range(TIMED_STEPS - 1), strict=False)]
        finally:
            trainer.close()
    step_s = (times[-1] - times[0]) / (len(times) - 1)
    return max(1, min(options.max_train_steps, int(TRAINING_SHARE * 60 * options.minutes / step_s)))
