"""The losses of each step of a run, in a file; a resumed run continues it as if it had never stopped."""

import json
from pathlib import Path

from ..errors import MediaError
from ..training.step_log import LOG_NAME, log_steps
from ..training.training_run import StepRecord


class StepLosses:
    """One line per step.

    Args:
        folder: of the run.
        step: number of steps done; the lines of later ones are left from a killed process, and removed.

    Raises:
        MediaError: if the file cannot be read or written.
    """

    def __init__(self, folder: Path, step: int):
        self.path = folder / LOG_NAME
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True) if self.path.exists() else []
            kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
            self.path.write_text("".join(kept), encoding="utf-8")
        except (OSError, ValueError, KeyError) as error:
            raise MediaError(self.path, "cannot be read or written; delete it, or make room") from error

    def add(self, record: StepRecord) -> None:
        """Appends the losses of a step."""
        log_steps(self.path, [record], shows=False)
