"""How much memory and time a list of many pairs takes: in windows, as `diff2lip batch` reads it.

python benchmarks/long_lists.py --rows 1000000 --kinds csv parquet
"""

import argparse
import csv
import json
import resource
import tempfile
import time
from pathlib import Path

from diff2lip_diffusers.batch.pair_streams import PairStream

KINDS = ("csv", "jsonl", "parquet")
CHUNK = 10_000


def rows(count: int):
    """Rows as of a large corpus: the speech and the face of a speaker."""
    for index in range(count):
        speaker = f"id{index % 6000:05d}/clip{index // 6000:04d}"
        yield {"audio": f"speech/{speaker}.wav", "video": f"faces/{speaker}.mp4", "output": f"{speaker}.mp4"}


def write_list(path: Path, count: int) -> None:
    """Writes a list; its suffix is its kind."""
    if path.suffix == ".parquet":
        import pyarrow
        from pyarrow import parquet

        source, schema = (
            rows(count),
            pyarrow.schema([(name, pyarrow.string()) for name in ("audio", "video", "output")]),
        )
        with parquet.ParquetWriter(path, schema) as writer:
            for _ in range(0, count, CHUNK):
                chunk = [row for _, row in zip(range(CHUNK), source, strict=False)]
                writer.write_table(pyarrow.Table.from_pylist(chunk, schema))
        return
    with path.open("w", newline="") as file:
        if path.suffix == ".csv":
            writer = csv.DictWriter(file, ("audio", "video", "output"))
            writer.writeheader()
            writer.writerows(rows(count))
        else:
            file.writelines(json.dumps(row) + "\n" for row in rows(count))


def peak_mb() -> float:
    """The most memory that this process had so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def measure(path: Path) -> dict[str, float]:
    """Seconds of this process until the first pair and until the last one, and MB beyond what it had before."""
    before_mb, start_s = peak_mb(), time.process_time()
    stream = PairStream(path)
    count = stream.check()
    first_s, seen = 0.0, 0
    for window in stream.windows():
        first_s = first_s or time.process_time() - start_s
        seen += len(window)
    assert seen == count
    return {
        "rows": count,
        "first_pair_cpu_s": round(first_s, 1),
        "all_pairs_cpu_s": round(time.process_time() - start_s, 1),
        "more_memory_mb": round(peak_mb() - before_mb, 1),
        "peak_memory_mb": round(peak_mb(), 1),
    }


def main() -> None:
    """Measures each kind of list and prints a line of JSON for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for kind in args.kinds:
            path = Path(folder) / f"list.{kind}"
            write_list(path, args.rows)
            print(
                json.dumps({"kind": kind, "list_mb": round(path.stat().st_size / 1e6, 1), **measure(path)}), flush=True
            )


if __name__ == "__main__":
    main()
