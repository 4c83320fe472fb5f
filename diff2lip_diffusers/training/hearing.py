"""Speech as other heads, microphones and rooms would give it: random changes of mel windows."""

from dataclasses import dataclass

import torch

# The scale of mel windows: its ends, and what 1 on it is.
LOUDEST, UNIT_DB = 4.0, 12.5
# A louder or softer recording changes all bins by the same amount, up to this.
GAIN_DB = 5.0
# A random gain has cosines of 0.5, 1, 1.5 and 2 periods over the bins, and a slope: sizes relative to its spread.
COSINES, SLOPE = (0.75, 0.625, 0.5, 0.375), 1.0
# The highest floor of noise above silence, and how far its bins are from it.
MOST_NOISE_DB, NOISE_SPREAD = 18.75, 0.3


@dataclass(frozen=True)
class Hearing:
    """How far windows are changed.

    Args:
        frequency_warp: largest relative change of the frequencies.
        equalizer_db: spread of a random gain over the frequencies.
        noise_share: share of the windows with noise.

    Raises:
        ValueError: if one is out of range.
    """

    frequency_warp: float = 0.0
    equalizer_db: float = 0.0
    noise_share: float = 0.0

    def __post_init__(self):
        if not 0 <= self.frequency_warp < 0.5:
            raise ValueError(f"`frequency_warp` is {self.frequency_warp}, expected a number from 0 to below 0.5")
        if not 0 <= self.equalizer_db <= 20:
            raise ValueError(f"`equalizer_db` is {self.equalizer_db}, expected a number from 0 to 20")
        if not 0 <= self.noise_share <= 1:
            raise ValueError(f"`noise_share` is {self.noise_share}, expected a number from 0 to 1")


def as_recorded(windows: torch.Tensor, hearing: Hearing, generator: torch.Generator) -> torch.Tensor:
    """Returns mel windows (N, B, T) in [-4, 4], each changed at random."""
    windows = _warped(windows, hearing.frequency_warp, generator) if hearing.frequency_warp else windows
    windows = _with_random_loudness(windows, generator)
    windows = _equalized(windows, hearing.equalizer_db, generator) if hearing.equalizer_db else windows
    windows = _with_noise(windows, hearing.noise_share, generator) if hearing.noise_share else windows
    return windows.clamp(-LOUDEST, LOUDEST)


def _warped(windows: torch.Tensor, largest: float, generator: torch.Generator) -> torch.Tensor:
    """Stretches or squeezes the bins of each window by a random factor.

    Source: Jaitly and Hinton, "Vocal tract length perturbation improves speech recognition", 2013.
    """
    bins = windows.shape[1]
    factors = 1 + largest * (2 * torch.rand(len(windows), 1, generator=generator) - 1)
    places = (torch.arange(bins) * factors).clamp(max=bins - 1)
    below = places.long().clamp(max=bins - 2)
    low, high = (windows.gather(1, index[..., None].expand_as(windows)) for index in (below, below + 1))
    return torch.lerp(low, high, (places - below)[..., None])


def _with_random_loudness(windows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    shift = GAIN_DB / UNIT_DB * (2 * torch.rand(len(windows), 1, 1, generator=generator) - 1)
    return (windows + shift).clamp(-LOUDEST, LOUDEST)


def _equalized(windows: torch.Tensor, spread_db: float, generator: torch.Generator) -> torch.Tensor:
    """Changes each bin of a window by a gain that is smooth over the bins; what is at the floor stays there."""
    place = torch.linspace(0, 1, windows.shape[1])
    sizes, periods = torch.tensor(COSINES), torch.arange(1, len(COSINES) + 1) / 2
    phases = 2 * torch.pi * torch.rand(len(windows), len(COSINES), 1, generator=generator)
    heights = sizes[:, None] * torch.randn(len(windows), len(COSINES), 1, generator=generator)
    waves = heights * torch.cos(2 * torch.pi * periods[:, None] * place + phases)
    slope = SLOPE * torch.randn(len(windows), 1, generator=generator) * (place - 0.5)
    gain = spread_db / UNIT_DB * (waves.sum(dim=1) + slope)
    return torch.where(windows > -LOUDEST, windows + gain[..., None], windows)


def _with_noise(windows: torch.Tensor, share: float, generator: torch.Generator) -> torch.Tensor:
    """Raises what is softer than the noise, in so large a share of the windows."""
    noisy, loudness = torch.rand(2, len(windows), 1, 1, generator=generator)
    bins = 1 + NOISE_SPREAD * torch.randn(windows.shape, generator=generator)
    noise = MOST_NOISE_DB / UNIT_DB * loudness * bins - LOUDEST
    return torch.where(noisy < share, torch.maximum(windows, noise), windows)
