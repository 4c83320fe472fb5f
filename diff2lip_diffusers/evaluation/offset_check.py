"""Whether a SyncNet finds offsets that are known: the audio of clips in sync is moved by whole frames."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from ..lipsync.options import SyncOptions
from ..media.reader import read_audio, read_rgb
from ..portable.feature_extraction_diff2lip import Diff2LipFeatureExtractor
from ..sync_score import offset_distances, score_of_distances
from ..syncnet import SyncNet
from .aligned_frames import cut, follow_face, known_boxes
from .measures.own_sync import MAX_OFFSET, SYNCNET_FPS, FaceEmbedder, face_crop, mel_embeds


def found_offsets(syncnet: SyncNet, video: Path, shifts: Iterable[int], detector: str = "mtcnn") -> dict[int, int]:
    """Returns the offset that is measured when the audio of a video is `shift` frames late, by shift.

    Args:
        syncnet: in evaluation mode.
        video: in sync, at any frame rate; `NAME.boxes.jsonl` beside it is used instead of the detector.
        shifts: in frames at 25 per second; below 0 the audio is early, and its beginning is lost.
        detector: of faces.

    Raises:
        MediaError: if the video cannot be read.
        NotMeasurable: if it is too short or has no face.
    """
    known = known_boxes(video)
    options = SyncOptions(detector=detector) if known is None else SyncOptions(detections=known)
    boxes = follow_face(video, Fraction(SYNCNET_FPS), options)
    embedder, last = FaceEmbedder(syncnet), None
    for frame, box in zip(read_rgb(video, SYNCNET_FPS), boxes, strict=False):
        last = last if box is None else face_crop(cut(frame, box), syncnet.config["input_size"])
        if last is not None:
            embedder.add(last)
    faces = embedder.embeds()
    waveform, sampling_rate = read_audio(video)
    return {shift: _offset(syncnet, faces, _moved(waveform, sampling_rate, shift), sampling_rate) for shift in shifts}


def _moved(waveform: np.ndarray, sampling_rate: int, shift: int) -> np.ndarray:
    """Samples (T,) that are so many frames later, as long as before."""
    count = abs(shift) * sampling_rate // SYNCNET_FPS
    silence = np.zeros(count, np.float32)
    moved = np.concatenate([silence, waveform]) if shift >= 0 else np.concatenate([waveform[count:], silence])
    return moved[: len(waveform)]


def _offset(syncnet: SyncNet, faces: torch.Tensor, waveform: np.ndarray, sampling_rate: int) -> int:
    extractor = Diff2LipFeatureExtractor()
    audio = mel_embeds(syncnet, extractor.mel_spectrogram(waveform, sampling_rate), 0, len(faces))
    count = min(len(faces), len(audio))
    return score_of_distances(offset_distances(faces[:count], audio[:count], MAX_OFFSET)).offset_frames
