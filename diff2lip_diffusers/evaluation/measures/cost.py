"""Seconds and memory a frame, as the records of a batch tell them."""

from .group import ClipView, MeasureGroup


class CostGroup(MeasureGroup):
    """`seconds_per_frame`: work of all stages; `peak_memory_mb`: the largest of the process so far."""

    def __init__(self, view: ClipView):
        self._record = view.clip.records.get(view.system, {})

    def values(self) -> dict[str, float]:
        """What the record says; nothing for results that are not named by a `results.jsonl`."""
        found: dict[str, float] = {}
        if self._record.get("num_frames") and self._record.get("stage_s"):
            found["seconds_per_frame"] = sum(self._record["stage_s"].values()) / self._record["num_frames"]
        if self._record.get("peak_memory_mb"):
            found["peak_memory_mb"] = float(self._record["peak_memory_mb"])
        return found
