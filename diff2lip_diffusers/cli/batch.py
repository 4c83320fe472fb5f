"""The commands `diff2lip batch` and `diff2lip status`."""

import argparse
import os
import sys

import torch
from tqdm import tqdm

from ..batch.pair_files import first_missing, look_at_files, missing_files
from ..batch.pair_lists import read_pairs
from ..batch.pairs import RESULTS_NAME, Pair
from ..batch.process_group import ProcessGroup
from ..batch.run import SPLITS, BatchResult, sync_batch
from ..batch.status import batch_status
from ..errors import MediaError
from ..hub import DTYPES, default_dtype
from .arguments import NOT_NEGATIVE, POSITIVE
from .options import add_model, add_options, load_model, options_of

EXIT_SOME_FAILED = 3
# The paper's settings. LRW's faces are looked for, VoxCeleb2's videos are face crops.
PRESETS = {"voxceleb2": {"reproduce": True, "voxceleb2_crop": True}, "lrw": {"reproduce": True}}
SHOWN_FAILURES = 5


def add_batch(commands) -> None:
    """Adds the command."""
    batch = commands.add_parser(
        "batch",
        help="sync a list of pairs, over many processes",
        description="Syncs a list of pairs of speech and video. The same command again goes on where it was stopped."
        " Over several GPUs or machines: accelerate launch -m diff2lip_diffusers batch ...",
    )
    batch.add_argument(
        "pairs",
        metavar="PAIRS",
        help="a list, AUDIO VIDEO a line without .mp4, or .csv or .jsonl with audio, video, output and options; or a"
        " folder of videos beside sounds of the same name",
    )
    batch.add_argument(
        "--root", metavar="DIR", help="what the names in the list are relative to (default: its folder)"
    )
    batch.add_argument("--output-dir", required=True, metavar="DIR", help="folder for the outputs and results.jsonl")
    batch.add_argument("--preset", choices=PRESETS, help="the paper's setting for this data set")
    batch.add_argument(
        "--retries",
        type=NOT_NEGATIVE,
        default=1,
        help="of a pair that fails (default: 1)",
    )
    batch.add_argument("--retry-failed", action="store_true", help="also try again what failed in earlier runs")
    batch.add_argument(
        "--split",
        choices=SPLITS,
        default="pairs",
        help="what processes share: whole pairs, or the frames of one pair after another, for long videos"
        " (default: pairs)",
    )
    batch.add_argument("--check", action="store_true", help="check the list and its files, and do nothing")
    batch.add_argument(
        "--threads",
        type=POSITIVE,
        default=1,
        help="of each process on a CPU; other numbers round differently (default: 1)",
    )
    add_model(batch)
    add_options(batch)
    batch.set_defaults(run=_run_batch)


def add_status(commands) -> None:
    """Adds the command."""
    status = commands.add_parser("status", help="how far a batch is", description="Tells how far a batch is.")
    status.add_argument("output_dir", metavar="DIR", help="the --output-dir of the batch")
    status.set_defaults(run=_run_status)


def _run_batch(args: argparse.Namespace) -> int:
    pairs = read_pairs(args.pairs, args.root)
    if args.check:
        return _check(args.pairs, pairs)
    group = ProcessGroup(cpu=args.device == "cpu")
    try:
        return _sync(args, pairs, group)
    finally:
        group.leave()


def _sync(args: argparse.Namespace, pairs: list[Pair], group: ProcessGroup) -> int:
    # Of several GPUs, "cuda" means the one that accelerate gave to this process.
    device = str(group.device) if args.device in (None, group.device.type) else args.device
    if device.startswith("cpu"):
        torch.set_num_threads(args.threads)
        _hint_at_processes(args.threads, group)
    # Machines may differ in what they compute natively; the outputs must not.
    names = list(DTYPES)
    dtype = args.dtype or names[group.from_main(names.index(default_dtype(device)))]
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
            split=args.split,
            on_progress=show,
            group=group,
            **PRESETS.get(args.preset, {}) | options_of(args),
        )
    if not group.is_main:
        return 0  # the main process speaks for all
    _report(result, args.output_dir)
    return EXIT_SOME_FAILED if result.num_failed else 0


def _hint_at_processes(threads: int, group: ProcessGroup) -> None:
    cores = os.cpu_count() or 1
    if group.size == 1 and threads == 1 < cores:
        cure = f"accelerate launch --multi_gpu --num_processes {cores} -m diff2lip_diffusers batch ..."
        print(f"one of {cores} cores works here; all of them, also without a GPU: {cure}", file=sys.stderr)


def _report(result: BatchResult, output_dir: str) -> None:
    _list_failures(result.failures)
    failed = f", {result.num_failed} failed" if result.num_failed else ""
    print(f"{output_dir}: {result.num_done} pairs done{failed}; see {os.path.join(output_dir, RESULTS_NAME)}")


def _list_failures(failures: list[dict]) -> None:
    for record in failures[:SHOWN_FAILURES]:
        print(f"failed: {record['output']}: {record['error']}", file=sys.stderr)
    if len(failures) > SHOWN_FAILURES:
        print(f"and {len(failures) - SHOWN_FAILURES} more failed", file=sys.stderr)


def _check(source: str, pairs: list[Pair]) -> int:
    missing = missing_files(pairs, look_at_files(pairs))
    if missing:
        raise MediaError(source, f"{len(missing)} of {len(pairs)} pairs lack files; {first_missing(pairs, missing)}")
    print(f"{source}: {len(pairs)} pairs, all files are there")
    return 0


def _run_status(args: argparse.Namespace) -> int:
    status = batch_status(args.output_dir)
    working = len(status.at_work)
    left = status.num_pairs - status.num_done - status.num_failed - working
    parts = [f"{status.num_done} done", f"{status.num_failed} failed", f"{working} at work", f"{left} to do"]
    rate = "" if status.pairs_per_minute is None else f"; {status.pairs_per_minute:.1f} pairs a minute"
    unfinished = left or working
    left_s = f", about {tqdm.format_interval(status.left_s)} left" if status.left_s and unfinished else ""
    print(f"{args.output_dir}: {status.num_pairs} pairs: {', '.join(parts)}{rate}{left_s}")
    _list_failures(status.failures)
    return 0
