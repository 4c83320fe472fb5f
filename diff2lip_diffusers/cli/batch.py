"""The command `diff2lip batch`."""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator

import torch
from tqdm import tqdm

from ..batch.on_ray.settings import RayCluster
from ..batch.pair_files import describe_first_missing, inspect_files, missing_files
from ..batch.pair_lists import read_pairs
from ..batch.pair_streams import PairStream, has_more_rows
from ..batch.pairs import RESULTS_NAME, Pair
from ..batch.presets import PRESETS
from ..batch.process_group import ProcessGroup
from ..batch.run import SPLITS, BatchResult, sync_batch
from ..batch.supervisor import Reports
from ..errors import MediaError
from ..hub import DTYPES, default_dtype
from ..lipsync.options import checked_options
from ..lipsync.remote_job import files_of
from ..stores.remote_files import RemoteFiles
from ..stores.urls import located
from .arguments import NOT_NEGATIVE, POSITIVE
from .commands import COMMANDS
from .engine import add_engine, cluster_of, driver_args
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
        help="a list: AUDIO VIDEO a line without .mp4, or a .csv, .jsonl or .parquet file with audio, video, output"
        " and options; or a folder of videos and audio files of the same names; or the URL of one of them",
    )
    batch.add_argument(
        "--root", metavar="DIR", help="folder or URL that names in the list are relative to (default: the list's)"
    )
    batch.add_argument(
        "--output-dir", required=True, metavar="DIR", help="folder or URL for the outputs and results.jsonl"
    )
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
    add_engine(batch)
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
    files = files_of(checked_options(options_of(args), "sync_batch"))
    is_long = has_more_rows(args.pairs, files)
    pairs = PairStream(args.pairs, args.root, files) if is_long else read_pairs(args.pairs, args.root, files)
    count = pairs.check() if isinstance(pairs, PairStream) else len(pairs)
    windows = pairs.windows() if isinstance(pairs, PairStream) else iter([pairs])
    if args.dry_run:
        return _dry_run(args.pairs, windows, count, files)
    reports = reports or Reports()
    group = ProcessGroup(args.device == "cpu" or args.engine == "ray", reports.seat)
    try:
        with cluster_of(args) as cluster:
            return _sync(args, windows, count, group, reports, cluster)
    finally:
        group.leave()


def _sync(
    args: argparse.Namespace,
    windows: Iterator[list[Pair]],
    count: int,
    group: ProcessGroup,
    reports: Reports,
    cluster: RayCluster | None,
) -> int:
    if cluster is not None:
        args = driver_args(args, cluster)
    # With several GPUs, "cuda" means the one that accelerate assigned to this process.
    device = str(group.device) if args.device in (None, group.device.type) else args.device
    if device.startswith("cpu"):
        torch.set_num_threads(args.threads)
        if cluster is None:
            _hint_at_processes(args.threads, group)
    # Machines may differ in the precision that they compute natively; the outputs must not.
    names = list(DTYPES)
    dtype = args.dtype or names[group.from_main(names.index(default_dtype(device)))]
    if group.is_main:
        show_restorer(checked_options(options_of(args), "sync_batch"), device)
    pipe = load_model(args, device, dtype)
    results: list[BatchResult] = []
    with tqdm(total=count, unit="pair", disable=None if group.is_main else True) as bar:

        def show(done: int, failed: int, _open: int) -> None:
            before = _together(results)
            bar.set_postfix(failed=before.num_failed + failed, refresh=False)
            bar.update(before.num_done + before.num_failed + done + failed - bar.n)

        for window, pairs in enumerate(windows):
            result = sync_batch(
                pipe,
                pairs,
                args.output_dir,
                retries=args.retries,
                retry_failed=args.retry_failed,
                verify=args.verify,
                split=args.split,
                window=window,
                engine=args.engine,
                cluster=cluster,
                on_progress=show,
                group=group,
                reports=reports,
                **PRESETS.get(args.preset, {}) | options_of(args),
            )
            results.append(result)
    if not group.is_main:
        return 0  # only the main process reports
    whole = _together(results)
    _report(whole, args.output_dir)
    return EXIT_SOME_FAILED if whole.num_failed else 0


def _together(results: list[BatchResult]) -> BatchResult:
    failures = [record for result in results for record in result.failures]
    return BatchResult(sum(one.num_done for one in results), sum(one.num_failed for one in results), failures)


def _hint_at_processes(threads: int, group: ProcessGroup) -> None:
    cores = os.cpu_count() or 1
    if group.size == 1 and threads == 1 < cores and not group.replaces:
        print(f"only one of {cores} cores is used; to use all: --processes {cores}", file=sys.stderr)


def _report(result: BatchResult, output_dir: str) -> None:
    print_failures(result.failures)
    failed = f", {result.num_failed} failed" if result.num_failed else ""
    print(f"{located(output_dir)}: {result.num_done} pairs done{failed}; see {located(output_dir) / RESULTS_NAME}")


def _dry_run(source: str, windows: Iterable[list[Pair]], count: int, files: RemoteFiles) -> int:
    num_missing, first = 0, ""
    for pairs in windows:
        missing = missing_files(pairs, inspect_files(pairs, files))
        if missing:
            first = first or describe_first_missing(pairs, missing)
            num_missing += len(missing)
    if num_missing:
        raise MediaError(str(located(source)), f"{num_missing} of {count} pairs lack files; {first}")
    print(f"{located(source)}: {count} pairs, all files exist")
    return 0
