"""The commands that need no recordings of people: `diff2lip make-corpus`, `pretrain-audio` and `demo`."""

import argparse
import math
from functools import partial

from tqdm import tqdm

from ..lipsync.option_values import number
from .training_commands import add_config

ABOVE_0 = number(int, 1, math.inf, "a whole number above 0")


def add_make_corpus(commands) -> None:
    """Adds the command."""
    corpus = commands.add_parser(
        "make-corpus",
        help="draw talking faces and their speech, to train and to measure with",
        description="Draws talking faces: for each clip a video, its sound, and a table of the true mouth of every"
        " frame. The speech is espeak-ng's, which must be installed (apt install espeak-ng). The same command again"
        " goes on where it was stopped.",
    )
    corpus.add_argument("output", metavar="OUT", help="folder for the corpus")
    corpus.add_argument("--clips", type=ABOVE_0, required=True, metavar="N", help="how many; each is another person")
    seed = number(int, 0, math.inf, "a whole number, 0 or more")
    corpus.add_argument("--seed", type=seed, default=0, metavar="S", help="another one gives others (default: 0)")
    corpus.add_argument(
        "--split",
        choices=("train", "test"),
        default="train",
        help="the test split shares no person, voice or sentence with the training split (default: train)",
    )
    corpus.add_argument("--fps", type=ABOVE_0, default=25, help="frames a second (default: 25)")
    corpus.add_argument(
        "--size", dest="size_px", type=ABOVE_0, default=256, metavar="PX", help="height and width (default: 256)"
    )
    corpus.add_argument("--no-pictures", action="store_true", help="sound and tables only, for pretrain-audio")
    corpus.add_argument("--nonsense", action="store_true", help="say words that mean nothing, not sentences")
    corpus.add_argument("--workers", type=ABOVE_0, default=1, metavar="N", help="processes (default: 1)")
    corpus.set_defaults(run=_run_make_corpus)


def add_pretrain_audio(commands) -> None:
    """Adds the command."""
    audio = commands.add_parser(
        "pretrain-audio",
        help="teach an audio encoder the mouths of a corpus, before any picture",
        description="Trains an audio encoder to tell the mouth's shape from the sound of a corpus that diff2lip"
        " make-corpus drew, as a YAML file says. diff2lip train begins with it as audio_encoder_from.",
    )
    add_config(audio, "AudioPretrainingConfig")
    audio.set_defaults(run=_run_pretrain_audio)


def add_demo(commands) -> None:
    """Adds the command."""
    demo = commands.add_parser(
        "demo",
        help="let a drawn face say a sentence that it never said",
        description="Lip-syncs the clip that comes with the package, with the small weights that come with it, and"
        " measures how well the mouth follows. They know drawn faces only.",
    )
    demo.add_argument(
        "--output",
        default="demo.mp4",
        metavar="FILE",
        help="video to write; beside it a contact sheet, .png (default: demo.mp4)",
    )
    demo.set_defaults(run=_run_demo)


def _run_make_corpus(args: argparse.Namespace) -> None:
    from ..corpus.make_corpus import CorpusSettings, make_corpus

    settings = CorpusSettings(
        seed=args.seed,
        split=args.split,
        fps=args.fps,
        size_px=args.size_px,
        pictures=not args.no_pictures,
        nonsense=args.nonsense,
    )
    with tqdm(total=args.clips, unit="clip", disable=None) as bar:
        clips = make_corpus(args.output, args.clips, settings, args.workers, partial(_show, bar))
    print(f"{args.output}: {len(clips)} clips")


def _show(bar: tqdm, done: int, total: int) -> None:
    bar.total = total
    bar.update(done - bar.n)


def _run_pretrain_audio(args: argparse.Namespace) -> None:
    from ..training.audio_pretraining import AudioPretrainingConfig, pretrain_audio_encoder
    from ..training.config_file import read_config

    config = read_config(AudioPretrainingConfig, args.config, args.overrides)
    with tqdm(total=config.max_train_steps, unit="step", disable=None) as bar:
        for record in pretrain_audio_encoder(config):
            bar.set_postfix(loss=f"{record.loss:.4f}", refresh=False)
            bar.update()
            if record.correlations and bar.disable:
                print(f"step {record.step}: loss {record.loss:.4f}, {_listed(record.correlations)}", flush=True)
    print(f"{config.output}: correlation with the truth on clips that were kept out: {_listed(record.correlations)}")


def _listed(correlations: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in correlations.items())


def _run_demo(args: argparse.Namespace) -> None:
    from ..demo.run_demo import run_demo

    result = run_demo(args.output)
    print(f'{result.sync.output}: a drawn face that never said it says "{result.text}"; see also {result.sheet}')
    print(
        f"its mouth opens with this speech: correlation {result.given.correlation:.2f}, lag"
        f" {result.given.lag_frames} frames; with the speech that the video had before:"
        f" {result.taken.correlation:.2f}"
    )
