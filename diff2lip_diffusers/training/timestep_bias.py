"""Which timesteps are trained on more often than others, with the settings of diffusers' training scripts."""

import torch

TIMESTEP_BIAS_STRATEGIES = ("none", "earlier", "later", "range")


def timestep_probabilities(
    num_timesteps: int,
    strategy: str = "none",
    multiplier: float = 1.0,
    begin: int = 0,
    end: int = 1000,
    portion: float = 0.25,
) -> torch.Tensor:
    """Returns the probability of each timestep, (T,) float64, with sum 1.

    The low timesteps decide details, the high ones where things are. The mouth is decided between about 450 and 950:
    below, the noisy frame already shows it; above, hardly its place is decided.

    Args:
        num_timesteps: T.
        strategy: `"none"`, `"earlier"` (the low timesteps), `"later"` (the high ones) or `"range"`.
        multiplier: how many times as often a biased timestep is drawn.
        begin: first biased timestep of `"range"`.
        end: timestep after the last biased one of `"range"`.
        portion: share of the timesteps that `"earlier"` and `"later"` bias.

    Source: `train_text_to_image_sdxl.py` in diffusers' examples.
    """
    biased = int(portion * num_timesteps)
    spans = {
        "none": slice(0, 0),
        "earlier": slice(0, biased),
        "later": slice(num_timesteps - biased, num_timesteps),
        "range": slice(begin, end),
    }
    weights = torch.ones(num_timesteps, dtype=torch.float64)
    weights[spans[strategy]] *= multiplier
    return weights / weights.sum()
