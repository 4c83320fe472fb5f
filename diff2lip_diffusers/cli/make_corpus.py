"""The command `diff2lip make-corpus`."""

import argparse
from functools import partial

from tqdm import tqdm

from .arguments import NOT_NEGATIVE, POSITIVE
from .commands import COMMANDS


def add_make_corpus(commands) -> None:
    """Adds the command."""
    corpus = commands.add_parser(
        "make-corpus",
        help=COMMANDS["make-corpus"],
        description="Draws talking faces. Each clip has a video, its speech, and a table of the true mouth shape in"
        " every frame. espeak-ng synthesizes the speech (pip install 'diff2lip-diffusers[corpus]'). The same command"
        " resumes a corpus that was interrupted.",
    )
    corpus.add_argument("output", metavar="OUT", help="folder for the corpus")
    corpus.add_argument("--clips", type=POSITIVE, required=True, metavar="N", help="number of clips, one person each")
    corpus.add_argument(
        "--seed",
        type=NOT_NEGATIVE,
        default=0,
        metavar="S",
        help="decides people and sentences (default: 0)",
    )
    corpus.add_argument(
        "--split",
        choices=("train", "test"),
        default="train",
        help="the test split shares no person, voice or sentence with the training split (default: train)",
    )
    corpus.add_argument("--fps", type=POSITIVE, default=25, help="frames per second (default: 25)")
    corpus.add_argument(
        "--size", dest="size_px", type=POSITIVE, default=256, metavar="PX", help="height and width (default: 256)"
    )
    corpus.add_argument(
        "--no-video", action="store_true", help="write speech and mouth tables only, for pretrain-audio"
    )
    corpus.add_argument("--no-pictures", dest="no_video", action="store_true", help=argparse.SUPPRESS)  # old name
    corpus.add_argument("--nonsense", action="store_true", help="say meaningless words instead of sentences")
    corpus.add_argument(
        "--look",
        choices=("mixed", "life", "plain"),
        default="mixed",
        help="life: heads in the round with hair, beards, clothes and hard light; plain: simple drawings that face the"
        " viewer; mixed: 15 %% plain (default)",
    )
    corpus.add_argument("--workers", type=POSITIVE, default=1, metavar="N", help="processes (default: 1)")
    corpus.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> None:
    from ..corpus.make_corpus import CorpusSettings, make_corpus

    settings = CorpusSettings(
        seed=args.seed,
        split=args.split,
        fps=args.fps,
        size_px=args.size_px,
        video=not args.no_video,
        nonsense=args.nonsense,
        look=args.look,
    )
    with tqdm(total=args.clips, unit="clip", disable=None) as bar:
        clips = make_corpus(args.output, args.clips, settings, args.workers, partial(_show, bar))
    print(f"{args.output}: {len(clips)} clips")


def _show(bar: tqdm, done: int, total: int) -> None:
    bar.total = total
    bar.update(done - bar.n)
