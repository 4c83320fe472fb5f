"""Finds training that diverges: skips steps that are not finite, and says what helps when they do not end."""

import math
from collections.abc import Iterable

import torch

from ..errors import Diff2LipError

# A gradient scaler halves its scale at each skipped step; from its first scale, 2^16, it needs up to 16.
MAX_SKIPPED_STEPS = 20
USUAL_LEARNING_RATE = 1e-4


class DivergedError(Diff2LipError):
    """Training whose loss, gradients or weights are not finite any more."""


class DivergenceWatch:
    """Counts the steps that were skipped in a row because their losses or gradients were not finite.

    Args:
        config: settings of the run, for the likely cure.

    Attributes:
        num_skipped: steps skipped in a row.
    """

    def __init__(self, config):
        self.config, self.num_skipped = config, 0

    def judge(self, step: int, values: Iterable[float]) -> bool:
        """Returns whether a step can be made: its losses and norms are finite.

        Raises:
            DivergedError: if too many steps in a row were skipped.
        """
        if all(map(math.isfinite, values)):
            self.num_skipped = 0
            return True
        self.num_skipped += 1
        if self.num_skipped > MAX_SKIPPED_STEPS:
            raise self.error(f"loss or gradients are not finite since step {step - MAX_SKIPPED_STEPS}")
        return False

    def check_weights(self, state: object, step: int) -> None:
        """Raises DivergedError if a tensor in nested dicts and lists is not finite."""
        if not all_finite(state):
            raise self.error(f"weights are not finite at step {step}")

    def check_end(self, step: int) -> None:
        """Raises DivergedError if the last steps of a run were skipped; those of a gradient scaler are usual."""
        if self.num_skipped and self.config.mixed_precision != "fp16":
            raise self.error(f"loss or gradients are not finite since step {step - self.num_skipped + 1}")

    def error(self, what: str) -> DivergedError:
        """The error, with the likely cure."""
        return DivergedError(
            f"{self.config.output}: training diverged: {what}; its checkpoints are kept; {self._cure()}, and start"
            " again to resume"
        )

    def _cure(self) -> str:
        if self.config.learning_rate > 10 * USUAL_LEARNING_RATE:
            return f"lower `learning_rate`, which is {self.config.learning_rate:g} ({USUAL_LEARNING_RATE:g} is usual)"
        if self.config.max_grad_norm is None:
            return "set `max_grad_norm`, such as 1.0"
        if self.config.mixed_precision == "fp16":
            return "set `mixed_precision` to bf16 or no"
        return f"lower `learning_rate`, which is {self.config.learning_rate:g}"


def all_finite(state: object) -> bool:
    """Returns whether all floating-point tensors in nested dicts and lists are finite."""
    if isinstance(state, torch.Tensor):
        return not state.is_floating_point() or bool(torch.isfinite(state).all())
    if isinstance(state, dict):
        return all(map(all_finite, state.values()))
    return all(map(all_finite, state)) if isinstance(state, (list, tuple)) else True
