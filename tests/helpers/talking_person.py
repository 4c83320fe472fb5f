"""A person who talks for nine seconds, and tiny weights to start from, for tests of personal models."""

import wave
from pathlib import Path

import numpy as np

from diff2lip_diffusers.boxes import Detection, FaceBox
from diff2lip_diffusers.faces.detections_file import DetectionsWriter
from diff2lip_diffusers.hub.conversion import PACKAGE
from diff2lip_diffusers.portable.feature_extraction_diff2lip import Diff2LipFeatureExtractor
from diff2lip_diffusers.portable.pipeline_diff2lip import Diff2LipPipeline
from diff2lip_diffusers.schedulers import make_scheduler, original_scheduler
from diff2lip_diffusers.training.config import TrainConfig
from diff2lip_diffusers.training.config_file import config_of
from diff2lip_diffusers.training.denoiser import make_denoiser
from helpers.face_videos import WOMAN, WOMAN_FACE, write_video
from helpers.training_sets import SETTINGS

FPS, SAMPLING_RATE = 25, 16000
# Small frames, as many of them are read.
WOMAN_HEAD = WOMAN[64:212, 56:172]
HEAD_FACE = FaceBox(WOMAN_FACE.x1 - 56, WOMAN_FACE.y1 - 64, WOMAN_FACE.x2 - 56, WOMAN_FACE.y2 - 64)


def opening(frame: int) -> float:
    """How far the mouth is open, 0 to 1."""
    return (1 - np.cos(2 * np.pi * frame / 11)) / 2


def write_person(path: Path, seconds: float = 9.0, quiet_from_s: float | None = None) -> Path:
    """Writes a video whose mouth and loudness go together, with known boxes; silent after `quiet_from_s`."""
    count = round(seconds * FPS)
    height, width = WOMAN_HEAD.shape[:2]
    frames = []
    for number in range(count):
        frame = WOMAN_HEAD.copy()
        middle, half = round(HEAD_FACE.y1 + 0.8 * HEAD_FACE.height), 1 + round(12 * opening(number))
        frame[middle - half : middle + half, round(HEAD_FACE.x1 + 35) : round(HEAD_FACE.x1 + 65)] = (40, 8, 10)
        frames.append(frame)
    with DetectionsWriter(path.with_name(f"{path.stem}.boxes.jsonl"), width, height, FPS) as writer:
        for _ in range(count):
            writer.write([Detection(HEAD_FACE, 1.0)])
    time_s = np.arange(count * SAMPLING_RATE // FPS) / SAMPLING_RATE
    samples = (0.05 + 0.4 * (1 - np.cos(2 * np.pi * time_s * FPS / 11)) / 2) * np.sin(2 * np.pi * 200 * time_s)
    if quiet_from_s is not None:
        samples[round(quiet_from_s * SAMPLING_RATE) :] *= 1e-5
    speech = path.with_name(f"{path.stem}-speech.wav")
    write_wave(speech, samples)
    write_video(path, frames, audio=speech, crf=4)
    speech.unlink()
    return path


def write_wave(path: Path, samples: np.ndarray) -> Path:
    """Writes samples in [-1, 1] at 16 kHz."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, SAMPLING_RATE, 0, "NONE", "not compressed"))
        file.writeframes((32767 * samples).astype("<i2").tobytes())
    return path


def write_base(folder: Path, license: str = "apache-2.0") -> Path:
    """Writes untrained weights for crops of 16 pixels, with a card, and settings of their own."""
    denoiser = make_denoiser(config_of(TrainConfig, SETTINGS | {"data": "", "output": ""}))
    scheduler = make_scheduler("unipc", original_scheduler().config)
    pipe = Diff2LipPipeline(
        denoiser.unet, denoiser.audio_encoder, Diff2LipFeatureExtractor(), scheduler, default_num_inference_steps=9
    )
    pipe.save_pretrained(folder)
    (folder / "README.md").write_text(f"---\nlicense: {license}\ntags:\n  - lip-sync\n---\n\n# A base\n")
    if license != "apache-2.0":
        (folder / "LICENSE.txt").write_bytes((PACKAGE / "weights" / "CONVERTED_LICENSE.txt").read_bytes())
    return folder
