"""Short videos of real faces from public-domain photos, and pipelines with a known effect on a crop."""

import wave
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import skimage.data

from diff2lip_diffusers import Diff2LipPipeline, Diff2LipPipelineOutput, FaceBox
from diff2lip_diffusers.media.video_writer import VideoWriter

# The head and shoulders of the photo, and the face in it.
WOMAN = skimage.data.astronaut()[0:280, 110:350].copy()
WOMAN[195:250, 20:80] = WOMAN[190, 20:80]  # an emblem that passes for a small face
WOMAN_FACE = FaceBox(64, 72, 164, 204)


def other_person() -> np.ndarray:
    """Returns another person with the same features: mirrored, darker, in other clothes."""
    mirrored = WOMAN[:, ::-1].astype(np.float32)
    return (mirrored * [0.55, 0.62, 0.85]).clip(0, 255).astype(np.uint8)


def on_background(people: Iterable[tuple[np.ndarray, int, int]], width: int = 640, height: int = 360) -> np.ndarray:
    """Returns a frame with people (image, x, y) in front of a plain wall; later ones cover earlier ones."""
    rows, columns = np.mgrid[0:height, 0:width]
    frame = np.stack([90 + columns // 16, 110 + rows // 12, 120 + (rows + columns) // 30], axis=-1).astype(np.uint8)
    for person, x, y in people:
        left, right, bottom = max(0, x), min(width, x + person.shape[1]), min(height, y + person.shape[0])
        if left < right:
            frame[y:bottom, left:right] = person[: bottom - y, left - x : right - x]
    return frame


def write_video(path: Path, frames: Iterable[np.ndarray], fps=25, **options) -> Path:
    frames = list(frames)
    height, width = frames[0].shape[:2]
    with VideoWriter(path, width=width, height=height, fps=fps, **options) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def write_speech(path: Path, seconds: float, rate: int = 16000) -> Path:
    """Audio that is never silent."""
    time_s = np.arange(round(seconds * rate)) / rate
    samples = 0.4 * np.sin(2 * np.pi * 180 * time_s) * (1 + 0.5 * np.sin(2 * np.pi * 2.5 * time_s))
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", "NONE"))
        file.writeframes(np.round(samples * 20000).astype("<i2").tobytes())
    return path


class KnownEffect(Diff2LipPipeline):
    """A pipeline that applies a function to the crops instead of sampling."""

    effect: Callable[[np.ndarray], np.ndarray]

    def __call__(self, frames, **_arguments):
        return Diff2LipPipelineOutput(frames=self.effect(frames.astype(np.float32) / 255))


def pipeline_that(effect: Callable[[np.ndarray], np.ndarray], like: Diff2LipPipeline) -> KnownEffect:
    pipe = KnownEffect(**like.components)
    pipe.effect = effect
    return pipe
