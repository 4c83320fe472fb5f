"""Records of outputs, kept outside of memory."""

import json
import tracemalloc

import pytest

from diff2lip_diffusers.batch.heartbeat import Heartbeat
from diff2lip_diffusers.batch.journal import Journal
from diff2lip_diffusers.batch.kept_records import PAGE, KeptRecords
from diff2lip_diffusers.batch.leases import Leases
from diff2lip_diffusers.batch.pairs import Pair
from diff2lip_diffusers.batch.work_queue import WorkQueue


def test_the_last_record_of_each_output_in_the_order_of_names():
    kept = KeptRecords()
    names = ["b.mp4", "a.mp4", "ä.mp4", "B.mp4", "a/b.mp4", "\udcff.mp4"]
    for number, name in enumerate([*names, "a.mp4"]):
        kept.put({"output": name, "number": number})
    assert kept.get("a.mp4") == {"output": "a.mp4", "number": 6} and kept.get("c.mp4") is None
    assert [record["output"] for record in kept.page()][:4] == ["B.mp4", "\udcff.mp4", "a.mp4", "a/b.mp4"]
    assert [record["number"] for record in kept.of(["ä.mp4", "none", "b.mp4"])] == [2, 0]


def test_pages_hold_each_record_once():
    kept, names = KeptRecords(), [f"{number:05d}.mp4" for number in range(2 * PAGE + 3)]
    for name in reversed(names):
        kept.put({"output": name})
    found, after = [], None
    while page := kept.page(after):
        found += [record["output"] for record in page]
        after = found[-1]
    assert found == names


@pytest.mark.slow
def test_memory_does_not_grow_with_what_was_done_before(tmp_path):
    count, text = 60_000, "x" * 900
    (tmp_path / "results").mkdir()
    with (tmp_path / "results" / "past.jsonl").open("w") as file:
        for number in range(count):
            record = {"output": f"{number}.mp4", "status": "done", "ended_s": number, "output_bytes": 1, "text": text}
            file.write(json.dumps(record) + "\n")
    pairs = [Pair(tmp_path / "a.mp4", None, f"new{number}.mp4") for number in range(10)]
    with Heartbeat(tmp_path) as heartbeat:
        tracemalloc.start()
        sizes = {pair.output: 1 for pair in pairs}
        queue = WorkQueue(pairs, sizes, set, Leases(tmp_path, heartbeat), Journal(tmp_path, "a"), 1)
        told = sum(1 for _ in queue.records())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert told == count and queue.counts() == (0, 0, 10)
    assert peak < 40e6 < (tmp_path / "results" / "past.jsonl").stat().st_size
