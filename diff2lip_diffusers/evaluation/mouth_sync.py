"""Measures a pipeline on drawn people, whose true mouths are known: sync, reconstruction, flicker."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..corpus.identity import draw_identity
from ..corpus.motion import draw_motion
from ..pipeline_diff2lip import Diff2LipPipeline
from .agreement import Agreement, agreement
from .drawn_clips import DrawnClip, draw_clip, draw_crops
from .mouth_opening import mouth_opening, opening_zones

FPS, BATCH_SIZE, SEED = 25, 16, 7
RECONSTRUCTED_FRAMES = 20  # of each clip; more would look alike
AT_REST = (0.0, 0.5, 0.05, 0.0, 0.0, 0.0)
ROOM_NOISE = 1e-4  # of full scale: a quiet room


@dataclass(frozen=True)
class MeasuredSync:
    """How generated mouths follow speech, one entry per person.

    Attributes:
        target_speech: agreement with the speech that the pipeline got.
        original_speech: agreement with the speech that the person says in the source frames: the control.
    """

    target_speech: list[Agreement]
    original_speech: list[Agreement]


def draw_people(count: int, crop_px: int, num_frames: int, first_seed: int = 900_001) -> list[DrawnClip]:
    """Draws clips of `count` people of the corpus's test split."""
    return [draw_clip(first_seed + 2 * index, crop_px, num_frames) for index in range(count)]


def mouth_zones(clips: Sequence[DrawnClip]) -> list[torch.Tensor]:
    """The mouth zones of each clip, from [`opening_zones`]."""
    return [opening_zones(clip.identity, clip.poses, clip.crops.shape[-1]) for clip in clips]


def measure_ground_truth(clips: Sequence[DrawnClip], zones: Sequence[torch.Tensor]) -> list[Agreement]:
    """How the opening measured on true frames follows the true one: the score of a perfect model."""
    return [
        agreement(mouth_opening(clip.crops, zone, clip.identity), clip.mouth[:, 0])
        for clip, zone in zip(clips, zones, strict=True)
    ]


def measure_sync(
    pipe: Diff2LipPipeline, steps: int, clips: Sequence[DrawnClip], zones: Sequence[torch.Tensor]
) -> MeasuredSync:
    """Lip-syncs each person to the speech of the next one, and measures the mouths."""
    target, original = [], []
    for index, (clip, zone) in enumerate(zip(clips, zones, strict=True)):
        other = clips[(index + 1) % len(clips)]
        count = min(len(clip.mouth), len(other.mouth))
        painted = lip_sync_crops(pipe, steps, clip.crops[:count], other, clip.crops[:count])
        curve = mouth_opening(painted, zone[:count], clip.identity)
        target.append(agreement(curve, other.mouth[:count, 0]))
        original.append(agreement(curve, clip.mouth[:count, 0]))
    return MeasuredSync(target, original)


def measure_reconstruction(pipe: Diff2LipPipeline, steps: int, clips: Sequence[DrawnClip]) -> list[float]:
    """Lip-syncs each person to their own speech, with their first frame as reference: PSNR of the lower half in dB."""
    ratios = []
    for clip in clips:
        true = clip.crops[:RECONSTRUCTED_FRAMES]
        ratios.append(psnr_db(lip_sync_crops(pipe, steps, true, clip, true[:1]), true))
    return ratios


def measure_flicker(pipe: Diff2LipPipeline, steps: int, identity_seed: int, num_frames: int = 16) -> float:
    """Mean change between frames of the lower half, in levels of 255, for a still head in a quiet room."""
    size = pipe.unet.config.sample_size
    identity = draw_identity(identity_seed)
    poses = draw_motion(identity_seed, np.arange(num_frames) / FPS, liveliness=0)
    crops = draw_crops(identity, poses, np.tile(AT_REST, (num_frames, 1)), size)
    sampling_rate = pipe.feature_extractor.sampling_rate
    samples = ROOM_NOISE * np.random.default_rng(0).standard_normal(sampling_rate).astype(np.float32)
    painted = _sample(pipe, steps, crops, samples, sampling_rate, crops)
    return (255 * painted[:, :, size // 2 :].diff(dim=0).abs().mean()).item()


def lip_sync_crops(
    pipe: Diff2LipPipeline, steps: int, crops: torch.Tensor, speaker: DrawnClip, references: torch.Tensor
) -> torch.Tensor:
    """Crops (N, 3, S, S) lip-synced to the speech of `speaker`, from its first frame on."""
    sampling_rate = speaker.spoken.sampling_rate
    samples = speaker.spoken.samples[round(speaker.first_s * sampling_rate) :]
    return _sample(pipe, steps, crops, samples, sampling_rate, references)


def psnr_db(painted: torch.Tensor, true: torch.Tensor) -> float:
    """Peak signal-to-noise ratio of the lower halves of frames (N, 3, S, S) in [0, 1], over all frames."""
    half = true.shape[-1] // 2
    return -10 * np.log10((painted[:, :, half:] - true[:, :, half:]).square().mean().item())


def _sample(pipe, steps: int, crops, samples: np.ndarray, sampling_rate: int, references) -> torch.Tensor:
    return pipe(
        crops,
        audio=samples,
        sampling_rate=sampling_rate,
        reference_frames=references,
        fps=FPS,
        num_inference_steps=steps,
        generator=torch.Generator().manual_seed(SEED),
        batch_size=BATCH_SIZE,
        output_type="pt",
    ).frames
