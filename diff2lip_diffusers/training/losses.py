"""The losses of training as pure functions, each with one number per frame or sample.

Letters in shapes: N frames, C channels, S x S pixels. `alphas_cumprod` (N,) is alpha-bar in the papers, at the
frames' timesteps: the share of the signal in the variance of the noisy frame. The rest is noise.
"""

import math
from collections.abc import Callable

import torch

# Center and size of the mouth in a crop from forehead to chin, as fractions of the crop.
MOUTH_Y, MOUTH_X, MOUTH_SIGMA_Y, MOUTH_SIGMA_X = 0.74, 0.5, 0.1, 0.16


def painted_mask(size_px: int, painted_fraction: float = 0.5) -> torch.Tensor:
    """Returns (1, 1, S, S) float32, 1 in the rows that are painted: those from int(S * (1 - `painted_fraction`)).

    Source: the original program, recorded in `tests/data/pipeline.npz`.
    """
    rows = torch.arange(size_px) >= int(size_px * (1 - painted_fraction))
    return rows.float()[None, None, :, None].expand(1, 1, size_px, size_px).contiguous()


def mouth_weight(mask: torch.Tensor, extra: float) -> torch.Tensor:
    """Returns the weight of each pixel, (1, 1, S, S): 1 in the painted part, up to 1 + `extra` at the mouth.

    Args:
        mask: (1, 1, S, S), 1 where the mouth is painted.
        extra: extra weight at the center of the mouth, 0 for none; it falls off as a Gaussian.
    """
    size = mask.shape[-1]
    place = (torch.arange(size, device=mask.device) + 0.5) / size
    down, across = (place - MOUTH_Y) / MOUTH_SIGMA_Y, (place - MOUTH_X) / MOUTH_SIGMA_X
    return mask * (1 + extra * torch.exp(-(down[:, None] ** 2 + across**2) / 2))


def predicted_x0(noisy: torch.Tensor, epsilon: torch.Tensor, alphas_cumprod: torch.Tensor) -> torch.Tensor:
    """Returns the unclipped frame that a predicted noise implies: (x_t - sqrt(1 - a) * eps) / sqrt(a), (N, C, S, S).

    Source: Ho et al. 2020 (DDPM), equation 15.
    """
    alphas = alphas_cumprod.reshape(-1, 1, 1, 1)
    return (noisy - (1 - alphas).sqrt() * epsilon) / alphas.sqrt()


def epsilon_loss(predicted: torch.Tensor, noise: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Returns the squared error of the predicted noise, a weighted mean over the pixels, (N,).

    Args:
        predicted: (N, C, S, S).
        noise: (N, C, S, S).
        weight: (N or 1, 1, S, S), 0 where nothing is painted.

    Source: Ho et al. 2020, equation 14.
    """
    return _weighted_mean((predicted - noise).square(), weight)


def x0_loss(predicted: torch.Tensor, frames: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Returns the squared error of the predicted frame, (N,); arguments as in `epsilon_loss`."""
    return _weighted_mean((predicted - frames).square(), weight)


def x0_timestep_weight(alphas_cumprod: torch.Tensor, gain: float) -> torch.Tensor:
    """Returns the weight of the frame's error at a noise level, min(1, gain * SNR), (N,).

    The signal-to-noise ratio SNR is alpha-bar / (1 - alpha-bar). The squared error of the frame is 1 / SNR times that
    of the noise: 12 times at t = 500, 145 times at 700, 24,800 times at 999, where no network can predict the frame.
    With this weight it is at most `gain` times. Losses whose gradient goes through the frame once, such as SyncNet's,
    use the square root.

    Source: Hang et al. 2023 (min-SNR), equation 8, for a weight on the frame rather than the noise.
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
    """Returns an estimate of the variational bound in bits per dimension, (N,), which trains the variance only.

    It is T times the term of one timestep: the divergence of the predicted from the true denoising step. At t = 0 it
    is the negative log-likelihood of the frame's 8-bit values.

    Args:
        frames: (N, C, S, S) in [-1, 1], the frames x_0.
        noisy: (N, C, S, S), x_t.
        epsilon: (N, C, S, S), the predicted noise; it gets no gradient.
        variance: (N, C, S, S), the predicted variance, from -1 for the smallest possible to 1 for the largest.
        timesteps: (N,) whole numbers in [0, T).
        betas: (T,), the noise schedule.
        mask: (1, 1, S, S), 1 where the mouth is painted.

    Source: Nichol and Dhariwal 2021 (improved DDPM), equations 4 to 7, 15 and 16.
    """
    posterior = posterior_variances(betas)
    alphas_cumprod = torch.cumprod(1 - betas, dim=0)[timesteps]
    x0 = predicted_x0(noisy, epsilon.detach(), alphas_cumprod).clamp(-1, 1)
    mean, true_mean = (posterior_mean(start, noisy, timesteps, betas) for start in (x0, frames))
    smallest, largest = (logs[timesteps].reshape(-1, 1, 1, 1) for logs in (posterior.log(), betas.log()))
    share = (variance + 1) / 2
    log_variance = share * largest + (1 - share) * smallest
    divergence = _normal_divergence(true_mean, smallest, mean, log_variance)
    likelihood = -_discretized_log_likelihood(frames, mean, log_variance)
    first = (timesteps == 0).reshape(-1, 1, 1, 1)
    return len(betas) * _weighted_mean(torch.where(first, likelihood, divergence), mask) / math.log(2)


def posterior_variances(betas: torch.Tensor) -> torch.Tensor:
    """Returns the variances of q(x_t-1 | x_t, x_0), (T,); at t = 0 the variance is 0, so the next one stands there.

    Source: Ho et al. 2020, equation 7.
    """
    alphas_cumprod = torch.cumprod(1 - betas, dim=0)
    previous = torch.cat([torch.ones_like(betas[:1]), alphas_cumprod[:-1]])
    variances = betas * (1 - previous) / (1 - alphas_cumprod)
    return torch.cat([variances[1:2], variances[1:]])


def posterior_mean(
    x0: torch.Tensor, noisy: torch.Tensor, timesteps: torch.Tensor, betas: torch.Tensor
) -> torch.Tensor:
    """Returns the mean of q(x_t-1 | x_t, x_0), (N, C, S, S).

    Source: Ho et al. 2020, equation 7.
    """
    alphas_cumprod = torch.cumprod(1 - betas, dim=0)
    previous = torch.cat([torch.ones_like(betas[:1]), alphas_cumprod[:-1]])
    of_x0 = betas * previous.sqrt() / (1 - alphas_cumprod)
    of_noisy = (1 - betas).sqrt() * (1 - previous) / (1 - alphas_cumprod)
    of_x0, of_noisy = (factors[timesteps].reshape(-1, 1, 1, 1) for factors in (of_x0, of_noisy))
    return of_x0 * x0 + of_noisy * noisy


def syncnet_loss(similarity: torch.Tensor) -> torch.Tensor:
    """Returns the binary cross-entropy of a similarity with the target "in sync": -ln(similarity), (N,).

    Args:
        similarity: (N,), cosine similarity of SyncNet's embeddings of five frames and their audio.

    Source: Prajwal et al. 2020 (Wav2Lip), section 3.
    """
    return -similarity.clamp(1e-4, 1).log()


def lpips_loss(distance: Callable, predicted: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
    """Returns the perceptual distance (LPIPS) of frames in [-1, 1], (N,).

    Args:
        distance: function of two batches (N, 3, S, S) that returns N numbers in any shape.
        predicted: (N, 3, S, S), clipped to [-1, 1].
        frames: (N, 3, S, S).

    Source: Zhang et al. 2018 (LPIPS), equation 1.
    """
    return distance(predicted.clamp(-1, 1), frames).reshape(len(frames))


def generator_adversarial_loss(scores_of_painted: torch.Tensor) -> torch.Tensor:
    """Returns how far painted sequences are from passing as true: the mean of (D - 1)^2, (N,).

    Least squares neither saturate nor grow without bound when the discriminator is far ahead.

    Args:
        scores_of_painted: (N, 1, H, W), the discriminator's scores of patches, 1 for true.

    Source: Mao et al. 2017 (LSGAN), equation 9.
    """
    return (scores_of_painted - 1).square().flatten(1).mean(dim=1)


def discriminator_loss(scores_of_true: torch.Tensor, scores_of_painted: torch.Tensor) -> torch.Tensor:
    """Returns half the mean of (D(true) - 1)^2 + D(painted)^2, (N,), of scores (N, 1, H, W).

    Source: Mao et al. 2017 (LSGAN), equation 9.
    """
    true, painted = (scores_of_true - 1).square(), scores_of_painted.square()
    return (true + painted).flatten(1).mean(dim=1) / 2


def _weighted_mean(errors: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Returns the mean over channels and the weighted mean over pixels, (N,)."""
    per_pixel = errors.mean(dim=1, keepdim=True)
    return (per_pixel * weight).sum(dim=(1, 2, 3)) / weight.sum(dim=(1, 2, 3))


def _normal_divergence(
    mean: torch.Tensor, log_variance: torch.Tensor, other_mean: torch.Tensor, other_log_variance: torch.Tensor
) -> torch.Tensor:
    """Returns the Kullback-Leibler divergence of two normal distributions, in nats per element."""
    ratio = torch.exp(log_variance - other_log_variance)
    distance = (mean - other_mean).square() * torch.exp(-other_log_variance)
    return (other_log_variance - log_variance + ratio + distance - 1) / 2


def _discretized_log_likelihood(frames: torch.Tensor, mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Returns the log-probability of 8-bit values under a normal distribution in 256 bins, open at both ends.

    Source: Ho et al. 2020, equation 13.
    """
    scale = torch.exp(-log_variance / 2)
    half_bin = 1 / 255
    above = torch.special.ndtr((frames + half_bin - mean) * scale)
    below = torch.special.ndtr((frames - half_bin - mean) * scale)
    above = torch.where(frames > 1 - half_bin, torch.ones_like(above), above)
    below = torch.where(frames < half_bin - 1, torch.zeros_like(below), below)
    return (above - below).clamp(min=1e-12).log()
