"""The command `diff2lip batch`."""

import argparse
import os
import sys

import torch
from tqdm import tqdm

from ..batch.pair_files import describe_first_missing, inspect_files, missing_files
from ..batch.pair_lists import read_pairs
from ..batch.pairs import RESULTS_NAME, Pair
from ..batch.presets import PRESETS
from ..batch.process_group import ProcessGroup
from ..batch.run import SPLITS, BatchResult, sync_batch
from ..batch.supervisor import Reports
from ..errors import MediaError
from ..hub import DTYPES, default_dtype
from ..lipsync.options import checked_options
from .arguments import NOT_NEGATIVE, POSITIVE
from .commands import COMMANDS
from .options import add_model, add_options, load_model, options_of, show_restorer
from .status import print_failures

EXIT_SOME_FAILED = 3


def add_batch(commands) -> None:
    """Adds the command."""
    batch = commands.add_parser(
        "batch",
        help=COMMANDS["batch"],
        description="Lip-syncs a list of pairs of speech and video. After a crash, the same command resumes."
        " On several GPUs or cores: --processes. Several machines: accelerate launch -m diff2lip_diffusers batch ...",
    )
    batch.add_argument(
        "pairs",
        metavar="PAIRS",
        help="a list: AUDIO VIDEO a line without .mp4, or a .csv or .jsonl file with audio, video, output and options;"
        " or a folder of videos and audio files of the same names",
    )
    batch.add_argument(
        "--root", metavar="DIR", help="folder that names in the list are relative to (default: that of the list)"
    )
    batch.add_argument("--output-dir", required=True, metavar="DIR", help="folder for the outputs and results.jsonl")
    batch.add_argument("--preset", choices=PRESETS, help="the paper's settings for this data set")
    batch.add_argument(
        "--retries",
        type=NOT_NEGATIVE,
        default=1,
        help="how often a failed pair is tried again (default: 1)",
    )
    batch.add_argument("--retry-failed", action="store_true", help="also retry pairs that failed in earlier runs")
    batch.add_argument(
        "--verify", action="store_true", help="first decode all finished outputs; make damaged ones again"
    )
    batch.add_argument(
        "--split",
        choices=SPLITS,
        default="pairs",
        help="what the processes share: whole pairs, or the frames of one pair after another, for long videos"
        " (default: pairs)",
    )
    batch.add_argument(
        "--processes",
        type=POSITIVE,
        default=1,
        help="how many processes share the work on this machine, one for each GPU or core (default: 1); not with"
        " accelerate launch",
    )
    batch.add_argument("--dry-run", action="store_true", help="only check the list and its files")
    batch.add_argument("--check", dest="dry_run", action="store_true", help=argparse.SUPPRESS)  # its old name
    batch.add_argument(
        "--threads",
        type=POSITIVE,
        default=1,
        help="threads of each process on a CPU; other numbers round differently (default: 1)",
    )
    add_model(batch)
    add_options(batch)
    batch.set_defaults(run=_run)


def _run(args: argparse.Namespace, reports: Reports | None = None) -> int:
    pairs = read_pairs(args.pairs, args.root)
    if args.dry_run:
        return _dry_run(args.pairs, pairs)
    reports = reports or Reports()
    group = ProcessGroup(args.device == "cpu", reports.seat)
    try:
        return _sync(args, pairs, group, reports)
    finally:
        group.leave()


def _sync(args: argparse.Namespace, pairs: list[Pair], group: ProcessGroup, reports: Reports) -> int:
    # With several GPUs, "cuda" means the one that accelerate assigned to this process.
    device = str(group.device) if args.device in (None, group.device.type) else args.device
    if device.startswith("cpu"):
        torch.set_num_threads(args.threads)
        _hint_at_processes(args.threads, group)
    # Machines may differ in the precision that they compute natively; the outputs must not.
    names = list(DTYPES)
    dtype = args.dtype or names[group.from_main(names.index(default_dtype(device)))]
    if group.is_main:
        show_restorer(checked_options(options_of(args), "sync_batch"), device)
    pipe = load_model(args, device, dtype)
    with tqdm(total=len(pairs), unit="pair", disable=None if group.is_main else True) as bar:

        def show(done: int, failed: int, _open: int) -> None:
            bar.set_postfix(failed=failed, refresh=False)
            bar.update(done + failed - bar.n)

        result = sync_batch(
            pipe,
            pairs,
            args.output_dir,
            retries=args.retries,
            retry_failed=args.retry_failed,
            verify=args.verify,
            split=args.split,
            on_progress=show,
            group=group,
            reports=reports,
            **PRESETS.get(args.preset, {}) | options_of(args),
        )
    if not group.is_main:
        return 0  # only the main process reports
    _report(result, args.output_dir)
    return EXIT_SOME_FAILED if result.num_failed else 0


def _hint_at_processes(threads: int, group: ProcessGroup) -> None:
    cores = os.cpu_count() or 1
    if group.size == 1 and threads == 1 < cores and not group.replaces:
        print(f"only one of {cores} cores is used; to use all: --processes {cores}", file=sys.stderr)


def _report(result: BatchResult, output_dir: str) -> None:
    print_failures(result.failures)
    failed = f", {result.num_failed} failed" if result.num_failed else ""
    print(f"{output_dir}: {result.num_done} pairs done{failed}; see {os.path.join(output_dir, RESULTS_NAME)}")


def _dry_run(source: str, pairs: list[Pair]) -> int:
    missing = missing_files(pairs, inspect_files(pairs))
    if missing:
        raise MediaError(
            source, f"{len(missing)} of {len(pairs)} pairs lack files; {describe_first_missing(pairs, missing)}"
        )
    print(f"{source}: {len(pairs)} pairs, all files exist")
    return 0
