"""Weights of the losses, and presets of them."""

from dataclasses import dataclass, fields

from .config_checks import check_range


@dataclass(frozen=True)
class LossWeights:
    """Weights of the losses; 0 turns a loss off. The last four are the paper's, for the released model.

    Args:
        epsilon_weight: Squared error of the predicted noise.
        variance_weight: Variational bound, which trains the predicted variance.
        x0_weight: Squared error of the predicted frame, the paper's L2 loss.
        syncnet_weight: SyncNet loss, if a SyncNet is given.
        lpips_weight: Perceptual distance, if LPIPS weights are given.
        adversarial_weight: Loss from the sequence discriminator.

    Source: Mukhopadhyay et al. 2024 (Diff2Lip), section 3; Nichol and Dhariwal 2021 for `variance_weight`.
    """

    epsilon_weight: float = 1.0
    variance_weight: float = 1e-3
    x0_weight: float = 1.0
    syncnet_weight: float = 0.1
    lpips_weight: float = 0.25
    adversarial_weight: float = 0.5

    def __post_init__(self):
        for field in fields(self):
            check_range(self, "losses.", field.name, 0)

    def of(self, loss: str) -> float:
        """Returns the weight of a loss by its name in the log, such as `syncnet`."""
        return getattr(self, f"{loss}_weight")


# "paper" has all losses. "simple" needs neither a SyncNet nor a discriminator, so single frames are enough.
LOSS_PRESETS = {
    "paper": LossWeights(),
    "simple": LossWeights(syncnet_weight=0.0, lpips_weight=0.0, adversarial_weight=0.0),
}
