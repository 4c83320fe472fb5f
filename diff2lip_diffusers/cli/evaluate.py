"""The command `diff2lip evaluate`."""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from ..batch.pair_lists import read_pairs
from ..evaluation.measures.table import GROUPS, MEASURES
from ..evaluation.options import SYNCNET_PROTOCOLS, EvaluateOptions
from ..evaluation.paper_protocols import PAPER_PROTOCOLS, lip_sync_by_protocol
from ..evaluation.results import Results
from ..hub import load_pipeline
from .commands import COMMANDS

EXIT_BELOW = 4
UNLESS_GIVEN = {"default": argparse.SUPPRESS}


def add_evaluate(commands) -> None:
    """Adds the command."""
    evaluate = commands.add_parser(
        "evaluate",
        help=COMMANDS["evaluate"],
        description="Measures lip-synced videos, of any program, and writes a report with tables, figures and"
        " clips side by side. The same command resumes a run that was stopped. The exit code is"
        f" {EXIT_BELOW} if a limit of --fail-below or --fail-above is missed.",
    )
    evaluate.add_argument(
        "results", nargs="?", metavar="RESULTS", help="a video, a folder of videos, or the results.jsonl of a batch"
    )
    evaluate.add_argument("--output", required=True, metavar="DIR", help="folder for the report")
    evaluate.add_argument(
        "--reference", metavar="PATH", help="videos the results were made from, or the truth; matched by file name"
    )
    evaluate.add_argument(
        "--system",
        action="append",
        type=_named,
        default=[],
        metavar="NAME=PATH",
        help="results of a system by its name; repeat it to compare systems",
    )
    evaluate.add_argument(
        "--audio", metavar="PATH", help="speech the mouths should follow (default: each result's own audio)"
    )
    evaluate.add_argument(
        "--measures",
        type=lambda text: tuple(text.split(",")),
        metavar="NAMES",
        **UNLESS_GIVEN,
        help=f"measures or groups of them, comma-separated (default: all that what is given allows); groups:"
        f" {', '.join(GROUPS)}",
    )
    _add_protocol(evaluate)
    _add_networks(evaluate.add_argument_group("networks and truth"))
    _add_limits(evaluate)
    evaluate.add_argument("--detector", **UNLESS_GIVEN, metavar="NAME", help="face detector (default: mtcnn)")
    evaluate.add_argument(
        "--clips-shown",
        dest="num_clips_shown",
        type=int,
        **UNLESS_GIVEN,
        metavar="N",
        help="clips that the report plays: the best, the worst and those between (default: 3)",
    )
    evaluate.add_argument("--workers", type=int, **UNLESS_GIVEN, metavar="N", help="processes (default: 1)")
    evaluate.add_argument("--device", **UNLESS_GIVEN, help="where networks run (default: cpu)")
    evaluate.set_defaults(run=_run)


def _add_protocol(evaluate) -> None:
    evaluate.add_argument(
        "--protocol",
        choices=[*SYNCNET_PROTOCOLS, *PAPER_PROTOCOLS],
        help="what LSE sees: whole frames (wav2lip, the default) or face tracks (joonson); or a paper's protocol,"
        " which first lip-syncs the list of pairs RESULTS with --model, across pairs and in reconstruction",
    )
    evaluate.add_argument("--model", metavar="DIR_OR_REPO", help="model folder or repository, for a paper's protocol")
    evaluate.add_argument("--root", metavar="DIR", help="folder that names in the list of pairs are relative to")


def _add_networks(group) -> None:
    group.add_argument("--syncnet", **UNLESS_GIVEN, metavar="FILE", help="SyncNet of 2016: syncnet_v2.model, for LSE")
    group.add_argument(
        "--own-syncnet",
        **UNLESS_GIVEN,
        metavar="DIR",
        help="a SyncNet of diff2lip train-syncnet; 'drawn' is the one in the package, for drawn people",
    )
    group.add_argument("--inception", **UNLESS_GIVEN, metavar="FILE", help="Inception weights, for FID and KID")
    group.add_argument("--lpips", **UNLESS_GIVEN, metavar="FILE", help="LPIPS weights with their backbone")
    group.add_argument("--i3d", **UNLESS_GIVEN, metavar="FILE", help="I3D weights (TorchScript), for FVD")
    group.add_argument(
        "--landmarks",
        **UNLESS_GIVEN,
        metavar="WHICH",
        help="landmark detector for LMD and the mouth's opening: face-alignment, or a MediaPipe .task file",
    )
    group.add_argument(
        "--truth", **UNLESS_GIVEN, metavar="DIR", help="corpus of drawn people with the true mouth of every frame"
    )


def _add_limits(evaluate) -> None:
    for name, which in (("--fail-below", "smallest"), ("--fail-above", "largest")):
        evaluate.add_argument(
            name,
            action="append",
            type=_limit,
            default=[],
            metavar="MEASURE=VALUE",
            help=f"{which} mean of a measure that passes, for every system; repeat it for more",
        )


def _named(text: str) -> tuple[str, str]:
    name, separator, path = text.partition("=")
    if not (name and separator and path):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PATH")
    return name, path


def _limit(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    if name not in MEASURES:
        raise argparse.ArgumentTypeError(f"{name!r} is no measure; known are {', '.join(MEASURES)}")
    try:
        return name, float(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not MEASURE=VALUE") from error


def _run(args: argparse.Namespace) -> int:
    from ..evaluation.run import evaluate

    if args.results is None and not args.system:
        raise ValueError("nothing to judge; name RESULTS, or --system NAME=PATH")
    options = {name: getattr(args, name) for name in EvaluateOptions.__dataclass_fields__ if hasattr(args, name)}
    systems: dict[str, str | Path] = dict(_systems(args.system))
    if args.protocol in SYNCNET_PROTOCOLS:
        options["syncnet_protocol"] = args.protocol
    elif args.protocol is not None:
        systems, args.results = _lip_sync(args) | systems, None
    with tqdm(unit="clip", disable=None) as bar:
        found = evaluate(
            args.results,
            args.output,
            args.reference,
            systems,
            args.audio,
            on_progress=lambda done, total: _show_progress(bar, done, total),
            **options,
        )
    _print_table(found.results)
    print(f"{found.report}: the report")
    missed = list(_missed(found.results, args.fail_below, below=True))
    missed += _missed(found.results, args.fail_above, below=False)
    for line in missed:
        print(line, file=sys.stderr)
    return EXIT_BELOW if missed else 0


def _systems(named: list[tuple[str, str]]) -> dict[str, str]:
    names = [name for name, _ in named]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"--system names {twice!r} twice; give each system a name of its own")
    return dict(named)


def _show_progress(bar: tqdm, done: int, total: int) -> None:
    if bar.total is None:  # what an earlier run has done says nothing about the time left
        bar.reset(total)
        bar.initial = bar.n = done
    bar.update(done - bar.n)


def _lip_sync(args: argparse.Namespace) -> dict[str, Path]:
    """Makes the outputs of a paper's protocol, below the report; returns them by mode."""
    if args.model is None or args.results is None:
        raise ValueError(f"--protocol {args.protocol} needs a list of pairs as RESULTS, and --model")
    pipe = load_pipeline(args.model, getattr(args, "device", "cpu"))
    pairs = read_pairs(args.results, args.root)
    with tqdm(unit="pair", disable=None) as bar:

        def show(done: int, failed: int, waiting: int) -> None:
            bar.total = done + failed + waiting
            bar.update(done + failed - bar.n)

        return lip_sync_by_protocol(pipe, args.protocol, pairs, Path(args.output) / "outputs", show)


def _print_table(results: Results) -> None:
    for problem in results.problems:
        print(f"{problem.clip}: {problem.system}: {problem.reason}", file=sys.stderr)
    names = [system.name for system in results.systems]
    width = max(len(MEASURES[name].title) for name in results.measures() or MEASURES)
    columns = [max(len(name), 24) for name in names]
    print(" " * width, *(f"{name:>{column}}" for name, column in zip(names, columns, strict=True)))
    for measure in results.measures():
        cells = [_cell(system, measure) for system in results.systems]
        print(
            f"{MEASURES[measure].title:{width}}",
            *(f"{cell:>{column}}" for cell, column in zip(cells, columns, strict=True)),
        )


def _cell(system, measure: str) -> str:
    if measure in system.overall:
        return f"{system.overall[measure]:.4g}"
    if measure not in system.summaries:
        return "-"
    summary = system.summaries[measure]
    return f"{summary.mean:.4g} [{summary.low:.4g}, {summary.high:.4g}]"


def _missed(results: Results, limits: list[tuple[str, float]], below: bool):
    """Yields a line for each system that misses a limit; a measure that was not computed misses it, too."""
    for name, limit in limits:
        for system in results.systems:
            value = system.value(name)
            if value is None:
                yield f"{system.name}: {name} was not measured, so its limit is missed; it needs {_needs(name)}"
            elif (value < limit) if below else (value > limit):
                yield f"{system.name}: {name} is {value:.4g}, {'below' if below else 'above'} the limit {limit:g}"


def _needs(name: str) -> str:
    return GROUPS[MEASURES[name].group]
