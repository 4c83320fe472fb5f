"""How much each loss counts, and presets of that."""

from dataclasses import dataclass, fields

from .config_checks import check_range


@dataclass(frozen=True)
class LossWeights:
    """The weights of the losses; 0 switches one off. The last four are the author's for the released model.

    Args:
        epsilon: squared error of the noise.
        variance: variational bound, for the learned variance.
        x0: squared error of the picture.
        syncnet: SyncNet's, if an expert is given.
        lpips: perceptual distance, if weights are given.
        adversarial: the sequence discriminator's.

    Source: SPEC "Training, as far as known"; Nichol and Dhariwal 2021 for `variance`.
    """

    epsilon: float = 1.0
    variance: float = 1e-3
    x0: float = 1.0
    syncnet: float = 0.1
    lpips: float = 0.25
    adversarial: float = 0.5

    def __post_init__(self):
        for field in fields(self):
            check_range(self, "losses.", field.name, 0)


# "paper" is everything; "simple" needs neither an expert nor a discriminator, and so single frames will do.
LOSS_PRESETS = {"paper": LossWeights(), "simple": LossWeights(syncnet=0.0, lpips=0.0, adversarial=0.0)}
