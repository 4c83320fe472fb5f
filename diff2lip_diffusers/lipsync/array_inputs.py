"""Frames and audio in memory as the inputs of a job: written without loss to a folder that lives as long as it."""

import tempfile
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch

from ..media.image_writer import ImageFolderWriter
from ..media.reader import INT16_STEPS
from ..portable.audio_input_diff2lip import to_mono
from ..stores.urls import Url

FilePath = str | Path | Url
FILE_KINDS = (str, Path, Url)
# As diffusers' video pipelines take them.
VideoFrames = np.ndarray | torch.Tensor | list
AudioSamples = tuple[Any, int]


@contextmanager
def input_files(
    video: FilePath | VideoFrames, audio: FilePath | AudioSamples | None
) -> Iterator[tuple[FilePath, FilePath | None]]:
    """Yields the files of a job's inputs; those in memory are written to a temporary folder.

    Args:
        video: a path; or frames: uint8 (N, H, W, 3), or floats in [0, 1]; a tensor (N, 3, H, W); or a list of PIL
            images or of arrays (H, W, 3).
        audio: a path; or samples and their sampling rate in Hz: `(samples, 16000)`; or None.

    Raises:
        ValueError: if frames or samples have another form, type or range.
    """
    if isinstance(video, FILE_KINDS) and (audio is None or isinstance(audio, FILE_KINDS)):
        yield video, audio
        return
    with tempfile.TemporaryDirectory() as folder:
        if not isinstance(video, FILE_KINDS):
            video = _write_frames(video, Path(folder) / "frames")
        if audio is not None and not isinstance(audio, FILE_KINDS):
            audio = _write_audio(audio, Path(folder) / "audio.wav")
        yield video, audio


def _write_frames(frames: VideoFrames, folder: Path) -> Path:
    if isinstance(frames, torch.Tensor):
        _check_frames(frames.ndim == 4 and frames.shape[1] == 3, "of shape", tuple(frames.shape))
        frames = frames.detach().cpu().permute(0, 2, 3, 1).numpy()
    elif not isinstance(frames, (np.ndarray, list, tuple)):
        raise ValueError(f"`video` is a {type(frames).__name__}, expected a path, an array, a tensor or a list")
    if len(frames) == 0:
        raise ValueError("`video` is empty, expected at least one frame")
    size = None
    with ImageFolderWriter(folder) as writer:
        for frame in frames:
            rgb = _rgb(frame)
            size = size or rgb.shape
            _check_frames(rgb.shape == size, "of several sizes", f"{size} and {rgb.shape}")
            writer.write(rgb)
    return folder


def _rgb(frame: Any) -> np.ndarray:
    """A frame (H, W, 3) uint8."""
    array = np.asarray(frame.convert("RGB")) if isinstance(frame, PIL.Image.Image) else np.asarray(frame)
    _check_frames(array.ndim == 3 and array.shape[2] == 3, "of shape", array.shape)
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    is_unit = np.issubdtype(array.dtype, np.floating) and array.size and 0 <= array.min() and array.max() <= 1
    _check_frames(bool(is_unit), "of type or range", f"{array.dtype} outside [0, 1]")
    return np.round(array * 255).astype(np.uint8)


def _check_frames(is_right: bool, what: str, found: object) -> None:
    if not is_right:
        raise ValueError(
            f"`video` has frames {what} {found}, expected (N, H, W, 3), or a tensor (N, 3, H, W): uint8, or floats in"
            " [0, 1]"
        )


def _write_audio(audio: AudioSamples, path: Path) -> Path:
    """Writes the mean over channels in 16 bits, as the speech of a file is read."""
    if not (isinstance(audio, (tuple, list)) and len(audio) == 2 and isinstance(audio[1], (int, np.integer))):
        raise ValueError("`audio` is no path and no pair, expected samples and their sampling rate: (samples, 16000)")
    samples, sampling_rate = audio
    if sampling_rate < 1:
        raise ValueError(f"`audio` has a sampling rate of {sampling_rate}, expected Hz above 0")
    steps = np.round(to_mono(samples).numpy() * INT16_STEPS).clip(-INT16_STEPS, INT16_STEPS - 1)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(int(sampling_rate))
        file.writeframes(steps.astype("<i2").tobytes())
    return path
