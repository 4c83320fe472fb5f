"""The losses of training, each one pure function that gives one number per frame or sample; and their weights.

Letters in shapes: N frames, C channels, S x S pixels. `alphas_cumprod` (N,) is what the literature writes as
alpha-bar, at the frames' timesteps: the share of signal in the noisy frame's variance; the rest is noise.
"""

import math
from collections.abc import Callable

import torch

# The place of the mouth in a crop from forehead to chin, and how far it reaches, as fractions of the crop.
MOUTH_Y, MOUTH_X, MOUTH_SIGMA_Y, MOUTH_SIGMA_X = 0.74, 0.5, 0.1, 0.16


def painted_mask(size_px: int, painted_fraction: float = 0.5) -> torch.Tensor:
    """(1, 1, S, S) float32, 1 in the rows that are painted: those from int(S * (1 - `painted_fraction`)).

    Source: SPEC "Frames".
    """
    rows = torch.arange(size_px) >= int(size_px * (1 - painted_fraction))
    return rows.float()[None, None, :, None].expand(1, 1, size_px, size_px).contiguous()


def mouth_weight(mask: torch.Tensor, focus: float) -> torch.Tensor:
    """How much each pixel of the painted part counts: 1, and up to 1 + `focus` round the mouth, (1, 1, S, S).

    Args:
        mask: (1, 1, S, S), 1 where the mouth is painted.
        focus: further weight of the middle of the mouth, 0 for none; it falls off as a Gaussian.
    """
    size = mask.shape[-1]
    place = (torch.arange(size, device=mask.device) + 0.5) / size
    down, across = (place - MOUTH_Y) / MOUTH_SIGMA_Y, (place - MOUTH_X) / MOUTH_SIGMA_X
    return mask * (1 + focus * torch.exp(-(down[:, None] ** 2 + across**2) / 2))


def predicted_x0(noisy: torch.Tensor, epsilon: torch.Tensor, alphas_cumprod: torch.Tensor) -> torch.Tensor:
    """The picture that a predicted noise implies, not clipped: (x_t - sqrt(1 - a) * eps) / sqrt(a), (N, C, S, S).

    Source: Ho et al. 2020 (DDPM), equation 15.
    """
    alphas = alphas_cumprod.reshape(-1, 1, 1, 1)
    return (noisy - (1 - alphas).sqrt() * epsilon) / alphas.sqrt()


def epsilon_loss(predicted: torch.Tensor, noise: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Squared error of the predicted noise, averaged over the pixels by their weight, (N,).

    Args:
        predicted: (N, C, S, S).
        noise: (N, C, S, S).
        weight: (N or 1, 1, S, S), 0 where nothing is painted.

    Source: Ho et al. 2020, equation 14.
    """
    return _weighted_mean((predicted - noise).square(), weight)


def x0_loss(predicted: torch.Tensor, frames: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Squared error of the picture, averaged over the pixels by their weight, (N,); arguments as in `epsilon_loss`."""
    return _weighted_mean((predicted - frames).square(), weight)


def x0_timestep_weight(alphas_cumprod: torch.Tensor, gain: float) -> torch.Tensor:
    """How much the error of the picture counts at a noise level: min(1, gain * alpha-bar / (1 - alpha-bar)), (N,).

    The squared error of the picture is (1 - alpha-bar) / alpha-bar times that of the noise: 12 times at t = 500, 145
    at 700, 24,800 at 999, where nobody could predict it. With this weight it is at most `gain` times. The square root
    is the weight of losses whose gradient goes through the picture once, such as SyncNet's.

    Source: Hang et al. 2023 (min-SNR), equation 8, for a weight on the picture rather than the noise.
    """
    return (gain * alphas_cumprod / (1 - alphas_cumprod)).clamp(max=1)


def variance_loss(
    frames: torch.Tensor,
    noisy: torch.Tensor,
    epsilon: torch.Tensor,
    variance: torch.Tensor,
    timesteps: torch.Tensor,
    betas: torch.Tensor,
    mask: torch.Tensor,
) -> torch.Tensor:
    """An estimate of the variational bound in bits per dimension, (N,), from which only the variance learns.

    It is T times the term of one timestep: the divergence of the predicted from the true step back, or at t = 0 the
    negative log-likelihood of the picture's 8-bit values.

    Args:
        frames: (N, C, S, S) in [-1, 1], the pictures x_0.
        noisy: (N, C, S, S), x_t.
        epsilon: (N, C, S, S), the predicted noise; no gradient flows into it.
        variance: (N, C, S, S), the predicted variance, -1 for the smallest and 1 for the largest possible.
        timesteps: (N,) whole numbers in [0, T).
        betas: (T,), the noise schedule.
        mask: (1, 1, S, S), 1 where the mouth is painted.

    Source: Nichol and Dhariwal 2021 (improved DDPM), equations 4 to 7, 15 and 16.
    """
    posterior = posterior_variances(betas)
    alphas_cumprod = torch.cumprod(1 - betas, dim=0)[timesteps]
    x0 = predicted_x0(noisy, epsilon.detach(), alphas_cumprod).clamp(-1, 1)
    mean, true_mean = (posterior_mean(picture, noisy, timesteps, betas) for picture in (x0, frames))
    smallest, largest = (logs[timesteps].reshape(-1, 1, 1, 1) for logs in (posterior.log(), betas.log()))
    share = (variance + 1) / 2
    log_variance = share * largest + (1 - share) * smallest
    divergence = _normal_divergence(true_mean, smallest, mean, log_variance)
    likelihood = -_discretised_log_likelihood(frames, mean, log_variance)
    first = (timesteps == 0).reshape(-1, 1, 1, 1)
    return len(betas) * _weighted_mean(torch.where(first, likelihood, divergence), mask) / math.log(2)


def posterior_variances(betas: torch.Tensor) -> torch.Tensor:
    """The variances of q(x_t-1 | x_t, x_0), (T,); that of t = 0, which is 0, is replaced by the next.

    Source: Ho et al. 2020, equation 7.
    """
    alphas_cumprod = torch.cumprod(1 - betas, dim=0)
    previous = torch.cat([torch.ones_like(betas[:1]), alphas_cumprod[:-1]])
    variances = betas * (1 - previous) / (1 - alphas_cumprod)
    return torch.cat([variances[1:2], variances[1:]])


def posterior_mean(
    x0: torch.Tensor, noisy: torch.Tensor, timesteps: torch.Tensor, betas: torch.Tensor
) -> torch.Tensor:
    """The mean of q(x_t-1 | x_t, x_0), (N, C, S, S).

    Source: Ho et al. 2020, equation 7.
    """
    alphas_cumprod = torch.cumprod(1 - betas, dim=0)
    previous = torch.cat([torch.ones_like(betas[:1]), alphas_cumprod[:-1]])
    of_x0 = betas * previous.sqrt() / (1 - alphas_cumprod)
    of_noisy = (1 - betas).sqrt() * (1 - previous) / (1 - alphas_cumprod)
    of_x0, of_noisy = (factors[timesteps].reshape(-1, 1, 1, 1) for factors in (of_x0, of_noisy))
    return of_x0 * x0 + of_noisy * noisy


def syncnet_loss(similarity: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy of a cosine similarity, clamped to (0, 1), against "in sync": -ln(similarity), (N,).

    Args:
        similarity: (N,), of SyncNet's embeddings of five frames and their sound.

    Source: Prajwal et al. 2020 (Wav2Lip), section 3.
    """
    return -similarity.clamp(1e-4, 1).log()


def lpips_loss(distance: Callable, predicted: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
    """Perceptual distance of pictures in [-1, 1] by a network as LPIPS has it, (N,).

    Args:
        distance: called with two batches (N, 3, S, S), gives N numbers in any shape.
        predicted: (N, 3, S, S); what is outside of [-1, 1] is clipped.
        frames: (N, 3, S, S).

    Source: Zhang et al. 2018 (LPIPS), equation 1.
    """
    return distance(predicted.clamp(-1, 1), frames).reshape(len(frames))


def generator_adversarial_loss(scores_of_painted: torch.Tensor) -> torch.Tensor:
    """How far painted sequences are from passing as true: mean of (D - 1)^2, (N,).

    Least squares, because they neither saturate nor grow without bound where a discriminator is far ahead.

    Args:
        scores_of_painted: (N, 1, H, W), the discriminator's scores of patches, 1 for true.

    Source: Mao et al. 2017 (LSGAN), equation 9.
    """
    return (scores_of_painted - 1).square().flatten(1).mean(dim=1)


def discriminator_loss(scores_of_true: torch.Tensor, scores_of_painted: torch.Tensor) -> torch.Tensor:
    """Half of the mean of (D(true) - 1)^2 + D(painted)^2, (N,); scores (N, 1, H, W).

    Source: Mao et al. 2017 (LSGAN), equation 9.
    """
    true, painted = (scores_of_true - 1).square(), scores_of_painted.square()
    return (true + painted).flatten(1).mean(dim=1) / 2


def _weighted_mean(errors: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Mean over channels and, by weight, over pixels, (N,)."""
    per_pixel = errors.mean(dim=1, keepdim=True)
    return (per_pixel * weight).sum(dim=(1, 2, 3)) / weight.sum(dim=(1, 2, 3))


def _normal_divergence(
    mean: torch.Tensor, log_variance: torch.Tensor, other_mean: torch.Tensor, other_log_variance: torch.Tensor
) -> torch.Tensor:
    """Kullback-Leibler divergence of a normal distribution from another one, in nats per element."""
    ratio = torch.exp(log_variance - other_log_variance)
    distance = (mean - other_mean).square() * torch.exp(-other_log_variance)
    return (other_log_variance - log_variance + ratio + distance - 1) / 2


def _discretised_log_likelihood(frames: torch.Tensor, mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Log-probability of 8-bit values under a normal distribution cut into 256 bins, open at both ends.

    Source: Ho et al. 2020, equation 13.
    """
    scale = torch.exp(-log_variance / 2)
    half_bin = 1 / 255
    above = torch.special.ndtr((frames + half_bin - mean) * scale)
    below = torch.special.ndtr((frames - half_bin - mean) * scale)
    above = torch.where(frames > 1 - half_bin, torch.ones_like(above), above)
    below = torch.where(frames < half_bin - 1, torch.zeros_like(below), below)
    return (above - below).clamp(min=1e-12).log()
