"""Runs cases for some minutes, and prints what went wrong: `python -m fuzz --minutes 30`."""

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import torch

from diff2lip_diffusers import cli
from diff2lip_diffusers.media.reader import read_frames

from .cases import Case, CaseMaker
from .limited_process import Ended, LimitedProcess
from .seeds import write_seeds

HANG_S = 60
MAX_BYTES = 1536 << 20
EXIT_CODES = {0, 1, 2, 3}


@dataclass
class Counts:
    """What came out of all cases."""

    cases: Counter = field(default_factory=Counter)
    exit_codes: Counter = field(default_factory=Counter)
    faults: Counter = field(default_factory=Counter)
    peak_bytes: int = 0
    longest_s: float = 0
    cpu_s: Counter = field(default_factory=Counter)

    def add(self, case: Case, ended: Ended, faults: list[str]) -> None:
        """Counts a case."""
        self.cases[case.kind] += 1
        self.cpu_s[case.kind] += ended.cpu_s
        self.exit_codes[ended.exit_code] += 1
        self.faults.update(faults)
        self.peak_bytes = max(self.peak_bytes, ended.peak_bytes)
        self.longest_s = max(self.longest_s, ended.seconds)

    def __str__(self) -> str:
        kinds = ", ".join(
            f"{kind} {count} of {self.cpu_s[kind] / count:.1f} s" for kind, count in sorted(self.cases.items())
        )
        codes = ", ".join(f"{code}: {count}" for code, count in sorted(self.exit_codes.items()))
        faults = ", ".join(f"{fault} {count}" for fault, count in sorted(self.faults.items())) or "none"
        return (
            f"{self.cases.total()} cases ({kinds} of CPU each)\nexit codes {codes}\nfaults: {faults}\n"
            f"peak memory {self.peak_bytes / 2**20:.0f} MiB, longest case {self.longest_s:.1f} s"
        )


def main() -> int:
    args = _arguments()
    torch.set_num_threads(1)
    keep = Path(args.keep)
    counts = Counts()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as work:
        seeds = Path(work) / "seeds"
        write_seeds(seeds)
        _run_all(args, CaseMaker(seeds, args.seed), Path(work), keep, counts)
    print(counts)
    return 1 if counts.faults else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=0, help="decides on all cases")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--cases", type=int, default=sys.maxsize, help="at most so many")
    parser.add_argument(
        "--seconds",
        type=float,
        default=HANG_S,
        help="after which a case hangs, without those in which it stood in line for a core",
    )
    parser.add_argument("--processes", type=int, default=2, help="cases at a time")
    parser.add_argument("--keep", default="fuzz-faults", metavar="DIR", help="where the files of bad cases go")
    return parser.parse_args()


def _run_all(args: argparse.Namespace, maker: CaseMaker, work: Path, keep: Path, counts: Counts) -> None:
    end_s = time.monotonic() + 60 * args.minutes
    number, running = args.first, {}
    while running or (time.monotonic() < end_s and number < args.first + args.cases):
        may_start = time.monotonic() < end_s and number < args.first + args.cases
        if may_start and len(running) < args.processes:
            folder = work / f"case-{args.seed}-{number:06d}"
            folder.mkdir()
            case = maker.make(number, folder)
            process = LimitedProcess(lambda case=case: cli.main(case.arguments), folder, args.seconds)
            running[number] = case, folder, process
            number += 1
            continue
        time.sleep(0.01)
        for key, (case, folder, process) in list(running.items()):
            if (ended := process.ended()) is not None:
                del running[key]
                faults = faults_of(case, folder, ended)
                counts.add(case, ended, faults)
                _finish(key, case, folder, ended, faults, keep)


def _finish(number: int, case: Case, folder: Path, ended: Ended, faults: list[str], keep: Path) -> None:
    if faults:
        lines = ended.errors.strip().splitlines() or [""]
        print(f"case {number} ({case.kind}): {', '.join(faults)}; {lines[-1][:300]}", flush=True)
        _keep(folder, keep / folder.name, case)
    shutil.rmtree(folder)


def _keep(folder: Path, target: Path, case: Case) -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target, ignore=_not_copied)
    (target / "command").write_text(repr(case.arguments))


def _not_copied(folder: str, names: list[str]) -> list[str]:
    paths = {name: Path(folder) / name for name in names}
    return [name for name, path in paths.items() if not (path.is_file() or path.is_dir())]


def faults_of(case: Case, folder: Path, ended: Ended) -> list[str]:
    """What is wrong with a case, in words; empty if nothing is."""
    output = None if case.output is None else folder / case.output
    wrong = {
        "traceback": "Traceback (most recent call last)" in ended.errors,
        "hang": ended.is_overdue,
        "crash": ended.exit_code >= 128 and not ended.is_overdue,
        "exit code": ended.exit_code not in EXIT_CODES and ended.exit_code < 128,
        "memory": ended.peak_bytes > MAX_BYTES,
        "no reason": ended.exit_code in (1, 2) and not ended.errors.strip(),
        "leftover": any(path.name.startswith(".out") for path in folder.iterdir()),
        "half file": output is not None and _is_half(output, ended.exit_code),
    }
    return [fault for fault, found in wrong.items() if found]


def _is_half(output: Path, exit_code: int) -> bool:
    if exit_code:
        return output.exists()
    if output.suffix != ".mp4":
        return not output.is_dir()
    return not output.is_file() or not any(True for _ in read_frames(output))


if __name__ == "__main__":
    sys.exit(main())
