"""Seconds and memory a frame, as the records of a batch tell them."""

from ..aligned_frames import NotMeasurable
from .group import ClipView, MeasureGroup


class CostGroup(MeasureGroup):
    """`seconds_per_frame`: work of all stages; `peak_memory_mb`: the largest of the process so far."""

    def __init__(self, view: ClipView):
        record = view.clip.records.get(view.system)
        if record is None:
            raise NotMeasurable("needs the results.jsonl of a batch instead of a folder")
        self._record = record

    def values(self) -> dict[str, float]:
        """What the record says."""
        found: dict[str, float] = {}
        if self._record.get("num_frames") and self._record.get("stage_s"):
            found["seconds_per_frame"] = sum(self._record["stage_s"].values()) / self._record["num_frames"]
        if self._record.get("peak_memory_mb"):
            found["peak_memory_mb"] = float(self._record["peak_memory_mb"])
        return found
