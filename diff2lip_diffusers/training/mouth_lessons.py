"""What an audio encoder learns in pretraining: to give embeddings that mouths can be read from."""

import torch
import torch.nn.functional as F
from torch import nn

from ..corpus.mouth_table import MOUTH_PARAMETERS
from ..portable.audio_encoder_diff2lip import Diff2LipAudioEncoder

# So many windows are enough for a linear layer.
READ_WINDOWS, WINDOWS_AT_ONCE = 30_000, 512
RIDGE = 1e-3
# How much more the opening and the jaw count, which viewers see first.
IMPORTANCE = {"opening": 3.0, "jaw": 2.0}
# Weight of the distance to the other embeddings: at first, until `EARLY` of the run, and then.
EARLY, EARLY_WEIGHT, LATE_WEIGHT = 0.25, 0.3, 0.08


class MouthReader(nn.Module):
    """Reads the mouth parameters from audio embeddings like the U-Net's residual blocks: SiLU, then a linear layer."""

    def __init__(self, embed_dim: int):
        super().__init__()
        self.linear = nn.Linear(embed_dim, len(MOUTH_PARAMETERS))

    def forward(self, audio_embeds: torch.Tensor) -> torch.Tensor:
        """Returns mouth parameters (N, 6), about 0 to 1, for embeddings (N, E)."""
        return self.linear(F.silu(audio_embeds))


class MouthLesson(nn.Module):
    """The loss of an encoder: how far the mouths that a linear layer reads, which learns too, are from the true ones.

    Args:
        mouth_reader: the linear layer.
    """

    def __init__(self, mouth_reader: MouthReader):
        super().__init__()
        self.mouth_reader = mouth_reader

    def forward(
        self, mel_windows: torch.Tensor, embeds: torch.Tensor, mouths: torch.Tensor, progress: float
    ) -> torch.Tensor:
        """Returns the loss of a batch.

        Args:
            mel_windows: (N, 80, 16), what the encoder heard.
            embeds: (N, E), what it made of that.
            mouths: (N, 6), the true parameters.
            progress: of the run, from 0 to 1.
        """
        return F.mse_loss(self.mouth_reader(embeds), mouths)


class AlignedMouthLesson(MouthLesson):
    """The loss of an encoder that is to take the place of another one, whose embeddings a U-Net already understands.

    The linear layer is fitted to the other encoder and stays as it is. The distance to the other embeddings is part of
    the loss, so that what the layer does not read stays as it is as well.

    Args:
        other: the other encoder.
        mel_windows: (N, 80, 16), windows to fit the layer to.
        mouths: (N, 6), their mouths.
        seed: decides which of them.
    """

    def __init__(self, other: Diff2LipAudioEncoder, mel_windows: torch.Tensor, mouths: torch.Tensor, seed: int):
        super().__init__(MouthReader(other.config["embed_dim"]))
        self.other = other.eval().requires_grad_(False)
        chosen = torch.randperm(len(mouths), generator=torch.Generator().manual_seed(seed))[:READ_WINDOWS]
        with torch.no_grad():
            embeds = torch.cat([other(some) for some in mel_windows[chosen].split(WINDOWS_AT_ONCE)])
            self._fit(F.silu(embeds), mouths[chosen])
        self.mouth_reader.requires_grad_(False)
        self.spread, self.mouth_spread = embeds.std(dim=0), mouths[chosen].std(dim=0)
        self.importance = torch.tensor([IMPORTANCE.get(name, 1.0) for name in MOUTH_PARAMETERS])

    def forward(
        self, mel_windows: torch.Tensor, embeds: torch.Tensor, mouths: torch.Tensor, progress: float
    ) -> torch.Tensor:
        """Returns the loss of a batch, in standard deviations; arguments as for [`MouthLesson`]."""
        with torch.no_grad():
            expected = self.other(mel_windows)
        wrong = ((self.mouth_reader(embeds) - mouths) / self.mouth_spread).square() * self.importance
        far = ((embeds - expected) / self.spread).square()
        return wrong.mean() + (EARLY_WEIGHT if progress < EARLY else LATE_WEIGHT) * far.mean()

    def _fit(self, features: torch.Tensor, mouths: torch.Tensor) -> None:
        """Sets the linear layer to the ridge regression of the mouths."""
        inputs = torch.cat([features, torch.ones(len(features), 1)], dim=1).double()
        scatter = inputs.T @ inputs + RIDGE * torch.eye(inputs.shape[1], dtype=torch.float64)
        solution = torch.linalg.solve(scatter, inputs.T @ mouths.double()).float()
        self.mouth_reader.linear.weight.copy_(solution[:-1].T)
        self.mouth_reader.linear.bias.copy_(solution[-1])
