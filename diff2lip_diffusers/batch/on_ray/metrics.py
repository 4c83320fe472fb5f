"""Numbers of a run for Ray's dashboard and for Prometheus, which each worker counts."""

from typing import Any

from ..pair_records import DONE


class WorkerMetrics:
    """Counts pairs, frames and seconds of work by stage; Ray exports the sums of all workers.

    Args:
        ray: connected to the cluster.
    """

    def __init__(self, ray: Any):
        counter = ray.util.metrics.Counter
        self._pairs = counter("diff2lip_pairs", "Pairs that ended, by how they did.", ("status",))
        self._frames = counter("diff2lip_frames", "Frames of finished pairs.")
        self._stages = counter("diff2lip_stage_seconds", "Seconds of work by stage; stages overlap.", ("stage",))
        self._waiting = ray.util.metrics.Gauge("diff2lip_pairs_in_hand", "Pairs that a worker has or waits to begin.")

    def count(self, record: dict) -> None:
        """Counts a pair that ended, by its record."""
        self._pairs.inc(1, {"status": record["status"]})
        if record["status"] == DONE:
            self._frames.inc(max(1, record["num_frames"]))
            for stage, seconds in record["stage_s"].items():
                if seconds > 0:
                    self._stages.inc(seconds, {"stage": stage})

    def show_in_hand(self, count: int) -> None:
        """Shows how many pairs a worker has."""
        self._waiting.set(count)
