"""Frames of a pipeline: from any form to tensors, and back."""

import numpy as np
import PIL.Image
import torch
from diffusers import DiffusionPipeline

Frames = list[PIL.Image.Image] | np.ndarray | torch.Tensor


def frames_to_tensor(frames: Frames, name: str, sample_size: int) -> torch.Tensor:
    """Returns crops of any accepted form as (N, 3, S, S) float32 in [0, 1]. Tensors stay on their device.

    Args:
        frames: the crops.
        name: of the argument, for the text of an error.
        sample_size: S; crops of another size are resized.

    Raises:
        ValueError: if form, shape, dtype or range is not accepted.
    """
    if isinstance(frames, PIL.Image.Image):
        frames = [frames]
    if isinstance(frames, (list, tuple)):
        if not frames:
            raise ValueError(f"`{name}` is empty, expected at least one frame")
        parts = [frames_to_tensor(_with_batch_axis(frame), name, sample_size) for frame in frames]
        return torch.cat(parts)
    frames = _to_unit_range(_channels_first(frames, name), name)
    size = (sample_size, sample_size)
    if frames.shape[-2:] != size:
        frames = torch.nn.functional.interpolate(frames, size=size, mode="bilinear", align_corners=False)
    return frames


def tensor_to_frames(frames: torch.Tensor, output_type: str) -> Frames:
    """Converts frames (N, 3, S, S) in [0, 1] to the form that `output_type` names."""
    if output_type == "pt":
        return frames
    array = frames.permute(0, 2, 3, 1).cpu().numpy()
    return DiffusionPipeline.numpy_to_pil(array) if output_type == "pil" else array


def uploaded(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Returns a tensor on a device. On the way to a GPU, this thread does not wait, nor for what the GPU computes."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.contiguous().pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def check_shape(values: torch.Tensor | np.ndarray, entry: tuple[int, ...], name: str) -> None:
    """Raises ValueError unless values have the shape (N, *entry)."""
    if tuple(values.shape[1:]) != entry:
        expected = ", ".join(map(str, ("N", *entry)))
        raise ValueError(f"`{name}` has shape {tuple(values.shape)}, expected ({expected})")


def one_or_each(tensor: torch.Tensor, num_frames: int, name: str) -> torch.Tensor:
    """Returns an entry for each frame; a single one is for all."""
    if len(tensor) not in (1, num_frames):
        raise ValueError(f"`{name}` has {len(tensor)} entries, expected 1 or {num_frames}, the number of frames")
    return tensor.expand(num_frames, *tensor.shape[1:])


def _with_batch_axis(frame: PIL.Image.Image | np.ndarray | torch.Tensor) -> np.ndarray | torch.Tensor:
    if isinstance(frame, PIL.Image.Image):
        frame = np.array(frame.convert("RGB"))
    return frame[None] if frame.ndim == 3 else frame


def _channels_first(frames: np.ndarray | torch.Tensor, name: str) -> torch.Tensor:
    """Returns a tensor (N, 3, H, W) for an array (N, H, W, 3) or a tensor (N, 3, H, W)."""
    if not isinstance(frames, (np.ndarray, torch.Tensor)):
        raise ValueError(f"`{name}` is a {type(frames).__name__}, expected PIL images, an array or a tensor")
    frames = _with_batch_axis(frames)
    is_array = isinstance(frames, np.ndarray)
    if frames.ndim != 4 or frames.shape[-1 if is_array else 1] != 3 or 0 in frames.shape:
        expected = "(N, H, W, 3)" if is_array else "(N, 3, H, W)"
        raise ValueError(f"`{name}` has shape {tuple(frames.shape)}, expected {expected}")
    if isinstance(frames, np.ndarray):
        return torch.from_numpy(np.require(frames, requirements=["C", "W"])).permute(0, 3, 1, 2)
    return frames


def _to_unit_range(frames: torch.Tensor, name: str) -> torch.Tensor:
    """Converts uint8 to float32 in [0, 1]; floats must already be in that range."""
    if frames.dtype == torch.uint8:
        return frames.float() / 255
    if not frames.is_floating_point():
        raise ValueError(f"`{name}` has type {frames.dtype}, expected uint8, or floats in [0, 1]")
    if not (frames.amin() >= 0 and frames.amax() <= 1):
        raise ValueError(f"`{name}` has values in [{frames.amin()}, {frames.amax()}], expected floats in [0, 1]")
    return frames.float()
