"""Pretrains the audio encoder without frames: from mel windows to the true mouth parameters of the corpus.

After a few minutes on audio alone, a linear layer can read the mouth from the embeddings. The U-Net, which adds them
to its timestep embedding, then only has to learn what a mouth looks like.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from ..corpus.corpus_folder import CorpusClip, find_corpus_clips
from ..corpus.mouth_table import MOUTH_PARAMETERS, read_mouth_table
from ..media.reader import read_audio
from ..output_paths import filling_folder
from ..portable.audio_encoder_diff2lip import Diff2LipAudioEncoder
from ..portable.feature_extraction_diff2lip import Diff2LipFeatureExtractor
from .audio_encoder_folder import load_audio_encoder
from .divergence import DivergedError
from .hearing import Hearing, as_recorded
from .mouth_lessons import AlignedMouthLesson, MouthLesson, MouthReader


@dataclass(frozen=True)
class AudioPretrainingConfig:
    """Settings of a pretraining run of the audio encoder.

    Args:
        data: Corpus folder that `diff2lip make-corpus` wrote, or a list of such folders.
        output: Folder that the audio encoder is written to.
        init_from: Folder of an audio encoder to start from, which then decides the sizes.
        embeddings_of: Folder of an audio encoder whose embeddings the new one learns to give, besides the mouths: so a
            U-Net that was trained with the other one understands the new one at once.
        embed_dim: Size of the embeddings: four times the channels of the U-Net's first level.
        input_channels: Channels after the first convolution.
        block_out_channels: Channels per level, four levels.
        layers_per_block: Residual blocks per level.
        norm_num_groups: Groups of each normalization.
        max_train_steps: Number of optimizer steps.
        train_batch_size: Mel windows per step.
        learning_rate: Peak learning rate. It rises over the first twentieth and falls along a cosine to 0.
        frequency_warp: Largest relative change of the frequencies, in [0, 0.5): other heads have other resonances.
        equalizer_db: Spread of a random gain over the frequencies, in dB: other microphones and rooms.
        noise_share: Share of the windows with noise.
        held_out_fraction: Share of the clips that are only tested on: the last ones of each folder.
        seed: Decides initial weights and order.
    """

    data: str | tuple[str, ...]
    output: str
    init_from: str | None = None
    embeddings_of: str | None = None
    embed_dim: int = 128
    input_channels: int = 64
    block_out_channels: tuple[int, ...] = (32, 32, 64, 64)
    layers_per_block: int = 1
    norm_num_groups: int = 32
    max_train_steps: int = 3000
    train_batch_size: int = 64
    learning_rate: float = 1e-3
    frequency_warp: float = 0.0
    equalizer_db: float = 0.0
    noise_share: float = 0.0
    held_out_fraction: float = 0.05
    seed: int = 0

    def __post_init__(self):
        for name in ("max_train_steps", "train_batch_size", "learning_rate", "embed_dim"):
            if getattr(self, name) <= 0:
                raise ValueError(f"`{name}` is {getattr(self, name)}, expected a number above 0")
        _ = self.hearing
        if not self.folders:
            raise ValueError("`data` is empty, expected a folder that diff2lip make-corpus wrote")
        if not 0 < self.held_out_fraction < 1:
            raise ValueError(f"`held_out_fraction` is {self.held_out_fraction}, expected a number between 0 and 1")

    @property
    def hearing(self) -> Hearing:
        """How the speech is recorded."""
        return Hearing(self.frequency_warp, self.equalizer_db, self.noise_share)

    @property
    def folders(self) -> list[str]:
        """The corpora."""
        return [self.data] if isinstance(self.data, str) else list(self.data)


@dataclass(frozen=True)
class AudioPretrainingRecord:
    """The outcome of one step.

    Attributes:
        step: from 1.
        loss: mean squared error of the mouth parameters.
        correlations: correlation of each parameter with the truth on held-out clips; None if not measured.
    """

    step: int
    loss: float
    correlations: dict[str, float] | None = None


def pretrain_audio_encoder(
    config: AudioPretrainingConfig, measure_every: int = 250
) -> Iterator[AudioPretrainingRecord]:
    """Trains an audio encoder, yields one record per step, and saves the encoder to `config.output` at the end.

    Args:
        config: settings of the run.
        measure_every: steps between measurements on held-out clips.

    Raises:
        MediaError: if the corpus is missing or damaged, or the output cannot be written.
        DivergedError: if the loss is not finite; nothing is written.
    """
    extractor = Diff2LipFeatureExtractor()
    clips, test_clips = _split(config)
    test_windows, test_mouths = _load(test_clips, extractor)
    windows, mouths = _load(clips, extractor)

    torch.manual_seed(config.seed)
    encoder = _initial_encoder(config)
    lesson = _lesson(config, encoder.config["embed_dim"], windows, mouths)
    parameters = [*encoder.parameters(), *(weight for weight in lesson.parameters() if weight.requires_grad)]
    optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, total_steps=config.max_train_steps + 1, pct_start=0.05
    )
    generator = torch.Generator().manual_seed(config.seed)
    for step in range(1, config.max_train_steps + 1):
        chosen = torch.randint(len(windows), (config.train_batch_size,), generator=generator)
        heard = as_recorded(windows[chosen], config.hearing, generator)
        loss = lesson(heard, encoder(heard), mouths[chosen], step / config.max_train_steps)
        if not torch.isfinite(loss):
            cure = f"lower `learning_rate`, which is {config.learning_rate:g}"
            raise DivergedError(f"{config.output}: training diverged: the loss is not finite at step {step}; {cure}")
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        measured = step % measure_every == 0 or step == config.max_train_steps
        correlations = _correlations(encoder, lesson.mouth_reader, test_windows, test_mouths) if measured else None
        yield AudioPretrainingRecord(step, loss.item(), correlations)
    with filling_folder(config.output) as folder:
        encoder.save_pretrained(folder)


def _lesson(
    config: AudioPretrainingConfig, embed_dim: int, windows: torch.Tensor, mouths: torch.Tensor
) -> MouthLesson:
    if config.embeddings_of is None:
        return MouthLesson(MouthReader(embed_dim))
    other = load_audio_encoder(config.embeddings_of)
    if other.config["embed_dim"] != embed_dim:
        raise ValueError(
            f"`embeddings_of` has embeddings of {other.config['embed_dim']} numbers, expected {embed_dim}, the"
            " `embed_dim` of the new encoder"
        )
    return AlignedMouthLesson(other, windows, mouths, config.seed)


def _split(config: AudioPretrainingConfig) -> tuple[list[CorpusClip], list[CorpusClip]]:
    """Returns the clips to train on and the held-out clips."""
    training, held_out = [], []
    for folder in config.folders:
        clips = find_corpus_clips(folder)
        count = max(1, round(len(clips) * config.held_out_fraction))
        training += clips[:-count] or clips
        held_out += clips[-count:]
    return training, held_out


def _initial_encoder(config: AudioPretrainingConfig) -> Diff2LipAudioEncoder:
    if config.init_from is not None:
        return load_audio_encoder(config.init_from).train()
    return Diff2LipAudioEncoder(
        embed_dim=config.embed_dim,
        input_channels=config.input_channels,
        block_out_channels=config.block_out_channels,
        layers_per_block=config.layers_per_block,
        norm_num_groups=config.norm_num_groups,
    )


def _load(clips: list[CorpusClip], extractor: Diff2LipFeatureExtractor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns all mel windows (N, 80, 16) and mouth parameters (N, 6) of some clips."""
    windows, mouths = [], []
    for clip in clips:
        mouth = torch.from_numpy(read_mouth_table(clip.mouth_table))
        samples, sampling_rate = read_audio(clip.speech)
        mel = extractor.mel_spectrogram(samples, sampling_rate)
        count = min(len(mouth), extractor.count_windows(mel.shape[-1], clip.fps))
        windows.append(extractor.windows(mel, range(count), clip.fps))
        mouths.append(mouth[:count])
    return torch.cat(windows), torch.cat(mouths)


@torch.no_grad()
def _correlations(
    encoder: Diff2LipAudioEncoder, mouth_reader: MouthReader, windows: torch.Tensor, mouths: torch.Tensor
) -> dict[str, float]:
    predicted = torch.cat([mouth_reader(encoder(part)) for part in windows.split(256)])
    pairs = zip(MOUTH_PARAMETERS, predicted.unbind(1), mouths.unbind(1), strict=True)
    return {name: torch.corrcoef(torch.stack([ours, true]))[0, 1].item() for name, ours, true in pairs}
