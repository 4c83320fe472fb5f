"""Diff2Lip for diffusers: lip-sync any face video to any speech.

Importing the package registers its classes with diffusers: `DiffusionPipeline.from_pretrained` then loads a Diff2Lip
folder or Hub repository.
"""

import sys

import diffusers

from . import broken_torchaudio  # noqa: F401, I001  # before anything that imports transformers
from .batch.on_ray.settings import RayCluster
from .batch.pair_lists import read_pairs
from .batch.pairs import Pair
from .batch.run import BatchResult, sync_batch
from .batch.status import BatchStatus, batch_status
from .boxes import Detection, FaceBox
from .errors import (
    AudioTooShortError,
    CheckpointError,
    Diff2LipError,
    FaceNotFoundError,
    MediaError,
    NoAudioError,
    PairListError,
)
from .faces.detectors import load_face_detector
from .hub import convert_checkpoint, load_pipeline
from .lipsync.job import SyncResult
from .lipsync.options import SyncOptions
from .lipsync.run import sync_video
from .portable.audio_encoder_diff2lip import Diff2LipAudioEncoder
from .portable.feature_extraction_diff2lip import Diff2LipFeatureExtractor
from .portable.pipeline_diff2lip import Diff2LipPipeline, Diff2LipPipelineOutput
from .portable.unet_diff2lip import Diff2LipUNet2DConditionModel

__version__ = "0.1.0"

__all__ = [
    "AudioTooShortError",
    "BatchResult",
    "BatchStatus",
    "CheckpointError",
    "Detection",
    "Diff2LipAudioEncoder",
    "Diff2LipError",
    "Diff2LipFeatureExtractor",
    "Diff2LipPipeline",
    "Diff2LipPipelineOutput",
    "Diff2LipUNet2DConditionModel",
    "FaceBox",
    "FaceNotFoundError",
    "MediaError",
    "NoAudioError",
    "Pair",
    "PairListError",
    "RayCluster",
    "SyncOptions",
    "SyncResult",
    "batch_status",
    "convert_checkpoint",
    "load_face_detector",
    "load_pipeline",
    "read_pairs",
    "sync_batch",
    "sync_video",
]


def _register() -> None:
    """Registers the package with diffusers, which looks up pipelines and the classes of their components by name."""
    # Names that diffusers does not have yet.
    diffusers.Diff2LipPipeline = Diff2LipPipeline  # pyright: ignore[reportAttributeAccessIssue]
    diffusers.pipelines.diff2lip_diffusers = sys.modules[__name__]  # pyright: ignore[reportAttributeAccessIssue]


_register()
