"""Windows of 5 frames and their audio: which pairs are in sync and off sync, and the losses of the pairs.

Letters in shapes: B stretches of clips, W windows of each, T = 5 * W frames of a stretch, K = B * W windows.
"""

import torch
import torch.nn.functional as F

from ..syncnet import SYNC_FRAMES, SyncNet

# A window is silent if its mean mel is this much (12.5 dB) below that of the loudest window, or near the floor of -4.
QUIETER_BY, FLOOR = 1.0, -3.5
TEMPERATURE = 0.1


def windows_of(syncnet: SyncNet, frames: torch.Tensor, mel_windows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cuts stretches into windows that do not overlap.

    Args:
        syncnet: the network that gets them.
        frames: (B, T, 3, S, S) in [-1, 1].
        mel_windows: (B, T, 80, 16), windows for the audio encoder: each begins one frame earlier.

    Returns:
        The arguments of [`SyncNet.forward`] for K windows, stretch by stretch.
    """
    faces = syncnet.face_input(frames.unflatten(1, (-1, SYNC_FRAMES)).flatten(0, 1))
    return faces, mel_windows[:, 1::SYNC_FRAMES].flatten(0, 1).unsqueeze(1)


def is_silent(mel: torch.Tensor) -> torch.Tensor:
    """Returns which windows of a clip are silent, by their loudness; none is if all are equally loud.

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
    """Returns the binary cross-entropy of all pairs, a scalar; in-sync and off-sync pairs have equal weight.

    Off sync is the audio of the same clip's other windows, 5 frames away or more, and of other clips. Pairs in which
    both windows are silent are left out, because nobody could tell them apart.

    Args:
        similarity: (K, K) in [0, 1], of every window's mouth (row) and audio (column).
        silent: (K,) bool, from [`is_silent`].
        windows_per_clip: W.
        other_clips: share of the off-sync weight for audio of other clips.

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
    """Returns the cross-entropy of choosing the own audio, and the own mouth, within a clip; a scalar.

    It weights the pairs that are hardest to tell apart most. The binary cross-entropy is already low for most pairs.

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
