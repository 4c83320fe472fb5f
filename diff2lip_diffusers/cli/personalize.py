"""The command `diff2lip personalize`."""

import argparse
import math
import sys

from .arguments import NOT_NEGATIVE, POSITIVE, UNLESS_GIVEN, number, sync_option
from .commands import COMMANDS

QUESTION = "Did the person in these videos agree to a model of their face? [y/N] "
MINUTES = number(float, 1e-3, math.inf, "a number of minutes above 0")
RATE = number(float, 1e-9, math.inf, "a number above 0")


def add_personalize(commands) -> None:
    """Adds the command."""
    personalize = commands.add_parser(
        "personalize",
        help=COMMANDS["personalize"],
        description="Makes a model of one person: prepares the videos, trains on them, holds out their last part, and"
        " stops when the held-out frames get no better. OUTPUT is a pipeline folder for sync --model; its report.html"
        " shows held-out frames. The same command resumes an interrupted one. Only with the person's consent.",
    )
    personalize.add_argument("videos", metavar="VIDEO", nargs="+", help="videos of one person, or folders of them")
    personalize.add_argument("--output", required=True, metavar="DIR", help="pipeline folder to write")
    personalize.add_argument(
        "--i-have-consent",
        dest="consent",
        action="store_true",
        help="confirm that the person agreed to a model of their face, instead of answering the question",
    )
    personalize.add_argument(
        "--minutes", type=MINUTES, **UNLESS_GIVEN, help="time, after the videos are prepared (default: 30)"
    )
    personalize.add_argument(
        "--model", metavar="DIR", **UNLESS_GIVEN, help="weights to start from (default: those in the package)"
    )
    personalize.add_argument(
        "--lora",
        dest="lora_rank",
        type=POSITIVE,
        metavar="RANK",
        **UNLESS_GIVEN,
        help="train an adapter of this rank instead of all weights",
    )
    personalize.add_argument(
        "--speech", metavar="FILE", **UNLESS_GIVEN, help="other speech, for the report (default: a sentence)"
    )
    personalize.add_argument("--face", **sync_option("face"), help="which face, if several people are in view")
    personalize.add_argument("--detector", **sync_option("detector"), help="face detector (default: mtcnn)")
    _add_training(personalize.add_argument_group("training"))
    personalize.set_defaults(run=_run)


def _add_training(group) -> None:
    group.add_argument(
        "--steps",
        dest="max_train_steps",
        type=POSITIVE,
        metavar="N",
        **UNLESS_GIVEN,
        help="most steps (default: 1500, fewer if they do not fit into the time)",
    )
    group.add_argument(
        "--batch-size", dest="train_batch_size", type=POSITIVE, metavar="N", **UNLESS_GIVEN, help="default: 8"
    )
    group.add_argument(
        "--learning-rate",
        type=RATE,
        metavar="X",
        **UNLESS_GIVEN,
        help="peak learning rate (default: 6e-4; for an adapter 2e-3)",
    )
    group.add_argument(
        "--train-audio",
        dest="freeze_audio_encoder",
        action="store_false",
        **UNLESS_GIVEN,
        help="train the audio encoder as well",
    )
    group.add_argument(
        "--mixed-precision", choices=("no", "fp16", "bf16"), **UNLESS_GIVEN, help="default: no; bf16 is faster"
    )
    group.add_argument("--seed", type=NOT_NEGATIVE, **UNLESS_GIVEN, help="decides everything random (default: 0)")


def _run(args: argparse.Namespace) -> None:
    from dataclasses import fields

    from tqdm import tqdm

    from ..personal.options import PersonalizeOptions
    from ..personal.personalize import personalize
    from .training_commands import quiet

    quiet()
    chosen = {field.name: getattr(args, field.name) for field in fields(PersonalizeOptions) if field.name in args}
    chosen["consent"] = args.consent or _asks_for_consent(args.output)
    options = PersonalizeOptions(**chosen)
    told = -1
    with tqdm(unit="step", disable=None) as bar:

        def show(progress) -> None:
            nonlocal told
            newest = progress.newest
            bar.total = progress.num_steps
            bar.set_postfix_str(_words(progress), refresh=False)
            bar.update(progress.step - bar.n)
            if bar.disable and newest.step != told:
                print(f"step {progress.step} of {progress.num_steps}: {_words(progress)}", file=sys.stderr, flush=True)
            told = newest.step

        model = personalize(args.videos, args.output, options, on_progress=show)
    after = model.results["after"]
    print(
        f"{model.folder}: held-out mouths {after['psnr_db']:.1f} dB (before:"
        f" {model.results['before']['psnr_db']:.1f}), follow the truth {after['correlation']:.2f}; see {model.report}"
    )


def _words(progress) -> str:
    score = progress.newest.score
    return (
        f"{progress.left_s / 60:.0f} min left, held-out mouths {score.psnr_db:.1f} dB,"
        f" follow the truth {score.correlation:.2f} (best: step {progress.best.step})"
    )


def _asks_for_consent(output: str) -> bool:
    """Asks on a terminal, unless an interrupted command has; elsewhere, nobody can answer."""
    from ..personal.person_folder import PersonFolder

    if PersonFolder(output).stored() is not None or not sys.stdin.isatty():
        return False
    return input(QUESTION).strip().lower() in ("y", "yes")
