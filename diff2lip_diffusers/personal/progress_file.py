"""What a run has reached, in a file: evaluations on held-out frames, and the time that was used."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import CheckpointError
from ..output_paths import writing
from .held_out import HeldOutScore


@dataclass(frozen=True)
class Evaluation:
    """A judgement of the averaged weights on held-out frames.

    Attributes:
        step: number of steps done; 0 for the weights that the run starts from.
        seconds: time since the start, without breaks.
        score: on the held-out frames.
    """

    step: int
    seconds: float
    score: HeldOutScore


class ProgressFile:
    """The evaluations of a run, in order of their steps.

    Args:
        path: the file; it need not exist.

    Raises:
        CheckpointError: if it is damaged.
    """

    def __init__(self, path: Path):
        self.path = path
        self.evaluations: list[Evaluation] = []
        if path.exists():
            try:
                for one in json.loads(path.read_text(encoding="utf-8")):
                    self.evaluations.append(Evaluation(one["step"], one["seconds"], HeldOutScore(**one["score"])))
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise CheckpointError(f"{path}: is damaged; delete its folder to start over") from error

    @property
    def best(self) -> Evaluation:
        """The evaluation with the highest score; the first one of equals."""
        return max(self.evaluations, key=lambda one: one.score.total)

    @property
    def seconds(self) -> float:
        """Time that the run has used so far."""
        return self.evaluations[-1].seconds if self.evaluations else 0.0

    @property
    def since_best(self) -> int:
        """How many evaluations came after the best one."""
        return len(self.evaluations) - 1 - self.evaluations.index(self.best)

    def has(self, step: int) -> bool:
        """Whether a step was evaluated."""
        return any(one.step == step for one in self.evaluations)

    def is_best(self, score: HeldOutScore) -> bool:
        """Whether a score is higher than all before."""
        return not self.evaluations or score.total > self.best.score.total

    def add(self, evaluation: Evaluation) -> None:
        """Appends an evaluation, and writes the file, whole or not at all.

        Raises:
            MediaError: if it cannot be written.
        """
        self.evaluations.append(evaluation)
        part = self.path.with_name(f".{self.path.name}.part")
        with writing(self.path), part.open("w", encoding="utf-8") as file:
            json.dump([asdict(one) for one in self.evaluations], file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.path)
