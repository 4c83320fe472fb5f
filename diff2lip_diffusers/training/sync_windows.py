"""Windows of 5 frames and their sounds: which pairs are in sync, which are off, and the loss of all of them.

Letters in shapes: B stretches of clips, W windows of each, T = 5 * W frames of a stretch, K = B * W windows.
"""

import torch
import torch.nn.functional as F

from ..syncnet import SYNC_FRAMES, SyncNet

# A window is silent where its mean mel is so much (12.5 dB) below that of the loudest one, or next to the floor of -4.
QUIETER_BY, FLOOR = 1.0, -3.5
TEMPERATURE = 0.1


def windows_of(syncnet: SyncNet, frames: torch.Tensor, mel_windows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Stretches cut into windows that do not overlap.

    Args:
        syncnet: that will look at them.
        frames: (B, T, 3, S, S) in [-1, 1].
        mel_windows: (B, T, 80, 16), of the audio encoder: each begins with the frame before.

    Returns:
        The arguments of [`SyncNet.forward`] for K windows, stretch by stretch.
    """
    faces = syncnet.face_input(frames.unflatten(1, (-1, SYNC_FRAMES)).flatten(0, 1))
    return faces, mel_windows[:, 1::SYNC_FRAMES].flatten(0, 1).unsqueeze(1)


def is_silent(mel: torch.Tensor) -> torch.Tensor:
    """Which windows of a clip hold no speech, as far as loudness tells; where all are loud alike, none.

    Args:
        mel: (..., W, 80, 16), W windows of one clip.

    Returns:
        (..., W) bool.
    """
    level = mel.mean(dim=(-2, -1))
    return level < (level.amax(dim=-1, keepdim=True) - QUIETER_BY).clamp(min=FLOOR)


def balanced_loss(
    similarity: torch.Tensor, silent: torch.Tensor, windows_per_clip: int, other_clips: float
) -> torch.Tensor:
    """Binary cross entropy of all pairs, in which those in sync and those off sync count alike; a scalar.

    Off sync are the sounds of the same clip's other windows, 5 frames away or more, and those of other clips. Silence
    against silence is no example of either: nobody could tell.

    Args:
        similarity: (K, K) in [0, 1], of every window's mouth (row) and sound (column).
        silent: (K,) bool, from [`is_silent`].
        windows_per_clip: W.
        other_clips: share of the weight of what is off sync that sounds of other clips have.

    Source: Prajwal et al., "A Lip Sync Expert Is All You Need", 2020, section 3.
    """
    clip = torch.arange(len(similarity), device=similarity.device) // windows_per_clip
    same_clip = clip[:, None] == clip
    tellable = ~(silent[:, None] & silent)
    in_sync = torch.eye(len(similarity), dtype=torch.bool, device=similarity.device)
    losses = F.binary_cross_entropy(similarity, in_sync.float(), reduction="none")
    off_sync = (1 - other_clips) * _mean_where(losses, same_clip & tellable & ~in_sync)
    off_sync = off_sync + other_clips * _mean_where(losses, ~same_clip & tellable)
    return (losses.diagonal().mean() + off_sync) / 2


def contrastive_loss(similarity: torch.Tensor, silent: torch.Tensor, windows_per_clip: int) -> torch.Tensor:
    """Cross entropy of picking the own sound among those of the same clip, and the own mouth; a scalar.

    It looks hardest at the pairs that are hardest to tell, where the binary cross entropy is content with most.

    Args:
        similarity: as in [`balanced_loss`].
        silent: as in [`balanced_loss`].
        windows_per_clip: W.

    Source: van den Oord et al., "Representation learning with contrastive predictive coding", 2018, equation 4.
    """
    own = torch.arange(len(similarity), device=similarity.device)
    clip = own // windows_per_clip
    tellable = ~(silent[:, None] & silent) | (own[:, None] == own)
    choices = similarity.div(TEMPERATURE).masked_fill(~tellable | (clip[:, None] != clip), -torch.inf)
    return (F.cross_entropy(choices, own) + F.cross_entropy(choices.T, own)) / 2


def _mean_where(values: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    return (values * chosen).sum() / chosen.sum().clamp(min=1)
