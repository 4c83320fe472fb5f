"""The command `diff2lip pretrain-audio`."""

import argparse

from tqdm import tqdm

from .commands import COMMANDS
from .training_commands import add_config


def add_pretrain_audio(commands) -> None:
    """Adds the command."""
    audio = commands.add_parser(
        "pretrain-audio",
        help=COMMANDS["pretrain-audio"],
        description="Trains an audio encoder to predict the mouth shape from the speech of a corpus made by diff2lip"
        " make-corpus. A YAML file has the settings. diff2lip train starts from it with audio_encoder_from.",
    )
    add_config(audio, "AudioPretrainingConfig")
    audio.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> None:
    from ..training.audio_pretraining import AudioPretrainingConfig, pretrain_audio_encoder
    from ..training.config_file import read_config

    config = read_config(AudioPretrainingConfig, args.config, args.overrides)
    correlations: dict[str, float] = {}
    with tqdm(total=config.max_train_steps, unit="step", disable=None) as bar:
        for record in pretrain_audio_encoder(config):
            bar.set_postfix(loss=f"{record.loss:.4f}", refresh=False)
            bar.update()
            correlations = record.correlations or correlations
            if record.correlations and bar.disable:
                print(f"step {record.step}: loss {record.loss:.4f}, {_listed(correlations)}", flush=True)
    print(f"{config.output}: correlation with the truth on held-out clips: {_listed(correlations)}")


def _listed(correlations: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in correlations.items())
