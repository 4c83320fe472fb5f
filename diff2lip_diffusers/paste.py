"""Between frame and model: cutting the face out, and pasting it back painted.

Letters in shapes: H, W the frame's height and width, S the crop's height and width in pixels.
"""

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F

from .faces import FaceBox

# Soft edges of a paste, as fractions of the box, inside the painted part.
FEATHER_FRACTION = 0.08


def crop_face(frame: np.ndarray, box: FaceBox, size: int) -> np.ndarray:
    """The face in a box of whole pixels inside the frame, as (S, S, 3) uint8.

    Args:
        frame: (H, W, 3) uint8.
        box: where to cut.
        size: S.

    Source: SPEC "Frames" (bilinear, no antialiasing: what the model was trained on).
    """
    return resize_image(frame[_rows_and_columns(box)], size, size)


def resize_image(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """(h, w, 3) uint8 to (height, width, 3) uint8, bilinear without antialiasing."""
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float()
    resized = F.interpolate(pixels, size=(height, width), mode="bilinear", align_corners=False)
    return resized[0].permute(1, 2, 0).round().clamp(0, 255).byte().numpy()


def paste_box(frame: np.ndarray, box: FaceBox, face: np.ndarray) -> np.ndarray:
    """A copy of the frame with the whole box replaced by a resized face: the original's paste, with its hard seam.

    Args:
        frame: (H, W, 3) uint8.
        box: of whole pixels, inside the frame.
        face: (S, S, 3) uint8.
    """
    result = frame.copy()
    result[_rows_and_columns(box)] = resize_image(face, int(box.width), int(box.height))
    return result


def paste_painted(frame: np.ndarray, box: FaceBox, face: np.ndarray, painted_fraction: float = 0.5) -> np.ndarray:
    """A copy of the frame with only the painted lower part of the box replaced, its edges feathered inwards.

    Args:
        frame: (H, W, 3) uint8.
        box: of whole pixels, inside the frame.
        face: (S, S, 3) float32 in [0, 1].
        painted_fraction: lower part of the face that the model painted, in (0, 1].
    """
    top = int(box.y2 - np.floor(box.height * painted_fraction))
    target = replace(box, y1=top)
    pixels = torch.from_numpy(face).permute(2, 0, 1)[None].float()
    resized = F.interpolate(
        pixels, size=(int(box.height), int(box.width)), mode="bicubic", align_corners=False, antialias=True
    )
    painted = 255 * resized[0].permute(1, 2, 0).numpy()[int(box.height - target.height) :].clip(0, 1)

    result = frame.copy()
    area = _rows_and_columns(target)
    opacity = _feather(int(target.height), int(target.width))[..., None]
    result[area] = np.floor((1 - opacity) * frame[area] + opacity * painted + 0.5).astype(np.uint8)
    return result


def _feather(height: int, width: int) -> np.ndarray:
    """(height, width) opacity: 1 inside, falling smoothly towards 0 at all four edges."""
    soft = max(1.0, FEATHER_FRACTION * width)
    rows, columns = (np.minimum(np.arange(n) + 0.5, n - np.arange(n) - 0.5) / soft for n in (height, width))
    ramp = np.outer(rows.clip(0, 1), columns.clip(0, 1))
    return (ramp * ramp * (3 - 2 * ramp)).astype(np.float32)


def _rows_and_columns(box: FaceBox) -> tuple[slice, slice]:
    return slice(int(box.y1), int(box.y2)), slice(int(box.x1), int(box.x2))
