"""Folders of short clips to evaluate: references with known face boxes, and outputs that are sharp or blurred."""

import shutil
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageFilter

from diff2lip_diffusers.evaluation.aligned_frames import follow_face
from diff2lip_diffusers.lipsync.options import SyncOptions

from .face_videos import WOMAN, write_speech, write_video

NUM_FRAMES = 12


@dataclass(frozen=True)
class JudgedClips:
    """Folders with clips of the same names."""

    reference: Path
    sharp: Path
    blurred: Path

    def systems(self) -> dict[str, Path]:
        return {"sharp": self.sharp, "blurred": self.blurred}

    def arguments(self) -> list[str]:
        """Options of `diff2lip evaluate` for measures that take little time."""
        systems = [f"--system={name}={path}" for name, path in self.systems().items()]
        return [f"--reference={self.reference}", *systems, "--measures=sharpness,psnr"]


def write_judged_clips(folder: Path, count: int) -> JudgedClips:
    """Writes clips 00, 01, ... of 12 frames, all alike."""
    clips = JudgedClips(folder / "reference", folder / "sharp", folder / "blurred")
    for place in (clips.reference, clips.sharp, clips.blurred):
        place.mkdir(parents=True)
    speech = write_speech(folder / "speech.wav", NUM_FRAMES / 25)
    frames = [np.roll(WOMAN, shift, axis=1) for shift in range(NUM_FRAMES)]
    blurred = [np.asarray(PIL.Image.fromarray(frame).filter(PIL.ImageFilter.GaussianBlur(2))) for frame in frames]
    first = write_video(clips.reference / "00.mp4", frames, audio=speech)
    write_video(clips.blurred / "00.mp4", blurred, audio=speech)
    shutil.copy(first, clips.sharp / "00.mp4")
    boxes = first.with_name("00.boxes.jsonl")
    follow_face(first, Fraction(25), SyncOptions(detections=boxes))
    for number in range(1, count):
        for file in (first, boxes, clips.sharp / "00.mp4", clips.blurred / "00.mp4"):
            shutil.copy(file, file.with_name(file.name.replace("00", f"{number:02d}", 1)))
    return clips
