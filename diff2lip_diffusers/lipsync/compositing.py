"""Compositing: scales a face's pixels to a crop for the model, and blends the painted crop back into the frame.

Letters in shapes: h, w height and width of the face's box in the frame, S those of the crop, R those of the painted
face (S, or more after a restoration), all in pixels.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F

from ..boxes import FaceBox
from ..detail.enlargement import cubic_weights

# Soft edges of a patch, as a fraction of the box's width, inside the painted part.
FEATHER_FRACTION = 0.08
# Bands along the left, right and top edge of the painted part, as a fraction of the face, where its colors are
# compared with the crop's. The skin there, beside the nose and at the sides, does not move with the mouth.
BAND_FRACTION = 1 / 16
# Levels (of 255): how far the colors are shifted at most, and how far a band's shift may differ at most from the
# shift of all bands together. Larger differences are no change of light: the painted face differs in itself.
MAX_SHIFT, MAX_UNEVENNESS = 48.0, 12.0
# Levels of local change: up to the first the frame keeps all its detail, from the second it keeps none. The model adds
# 2-5 levels of noise to what it should leave unchanged; a lip that moves changes by 30 and more.
UNCHANGED, CHANGED = 8.0, 20.0
# Crop pixels. Changes are measured in means over 3 x 3, which average noise out. Detail is dropped up to 4 pixels
# around a change: 2 beyond the 5 x 5 over which the border is softened, as far as an old edge shows in the detail
# beside it. Small changes are kept as means over 5 x 5, which no clear change reaches.
NOISE_WINDOW, REACH_WINDOW, BORDER_WINDOW = 3, 9, 5
# B of Mitchell and Netravali's cubics with B + 2C = 1, for enlargements by 2 and more. A step overshoots by 1.1 %
# (B = 0: 7 %, their 1/3: 3.6 %, Lanczos-3: 11.5 %) and is 1.4 times as wide as with B = 0.
CUBIC_B = 0.6


@dataclass(frozen=True)
class Patch:
    """Pixels to blend into a frame.

    Attributes:
        box: their place, in whole pixels inside the frame.
        rgb: (h, w, 3) float32 in [0, 255].
        opacity: (h, w) float32 in [0, 1].
        kept: (h, w) float32 in about [0, 1], how much of the frame's own pixels is in them; None for none.
    """

    box: FaceBox
    rgb: np.ndarray
    opacity: np.ndarray
    kept: np.ndarray | None = None


def resize_image(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Scales (h, w, 3) uint8 to (height, width, 3) uint8, bilinear without antialiasing.

    Source: the original program, recorded in `tests/data/pipeline.npz` (what the model was trained on).
    """
    resized = F.interpolate(_planes(image)[None], size=(height, width), mode="bilinear", align_corners=False)
    return resized[0].permute(1, 2, 0).round().clamp(0, 255).byte().numpy()


def apply_patch(frame: np.ndarray, patch: Patch) -> np.ndarray:
    """Returns a copy of the frame (H, W, 3) uint8 with the patch blended in, rounded to the nearest level."""
    result = frame.copy()
    area = slice(int(patch.box.y1), int(patch.box.y2)), slice(int(patch.box.x1), int(patch.box.x2))
    opacity = patch.opacity[..., None]
    result[area] = np.floor((1 - opacity) * frame[area] + opacity * patch.rgb + 0.5).astype(np.uint8)
    return result


def whole_patch(box: FaceBox, face: np.ndarray) -> Patch:
    """A patch of the whole box, opaque: what the original pastes, with its hard seam.

    Args:
        box: of whole pixels, inside the frame.
        face: (S, S, 3) uint8.

    Source: the original program, recorded in `tests/data/pipeline.npz`.
    """
    width, height = int(box.width), int(box.height)
    rgb = resize_image(face, width, height).astype(np.float32)
    return Patch(box, rgb, np.ones((height, width), np.float32))


def painted_patch(
    pixels: np.ndarray,
    box: FaceBox,
    crop: np.ndarray,
    face: np.ndarray,
    painted_fraction: float = 0.5,
    unsharpened: np.ndarray | None = None,
) -> Patch:
    """A patch of the painted lower part of the box: in the frame's colors, and with its detail where nothing changed.

    Args:
        pixels: (h, w, 3) uint8, the frame inside the box.
        box: of whole pixels, inside the frame.
        crop: (S, S, 3) uint8, the same in the model's size.
        face: (R, R, 3) float32 in [0, 1], the painted face.
        painted_fraction: lower part of the face that the model painted, in (0, 1].
        unsharpened: (S, S, 3) float32 in [0, 1], the face before detail was added, which shows what the model changed;
            None if `face` does.
    """
    width, height = int(box.width), int(box.height)
    top = height - int(np.floor(height * painted_fraction))
    painted = None if unsharpened is None else 255 * _planes(unsharpened)
    shown, keep = _layers(_planes(crop), 255 * _planes(face), painted, painted_fraction)
    rgb = _enlarged(shown, width, height, top)
    detail = _enlarged(keep.expand(3, -1, -1), width, height, top)
    kept = detail[..., 0].copy()
    detail *= pixels[top:]
    rgb += detail
    return Patch(replace(box, y1=box.y1 + top), rgb.clip(0, 255, out=rgb), _feather(height - top, width), kept)


def in_colors_of(crop: np.ndarray, face: np.ndarray, painted_fraction: float) -> np.ndarray:
    """The painted face in the colors of the frame, (S, S, 3) float32 in levels of 0 to 255.

    Args:
        crop: (S, S, 3) uint8, the frame's own face.
        face: (S, S, 3) float32 in [0, 1], the painted one.
        painted_fraction: as for `painted_patch`.
    """
    matched = _color_matched(_planes(crop), 255 * _planes(face), _first_painted_row(face.shape[0], painted_fraction))
    return np.ascontiguousarray(matched.permute(1, 2, 0).numpy()).clip(0, 255)


def _layers(
    crop: torch.Tensor, face: torch.Tensor, unsharpened: torch.Tensor | None, painted_fraction: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The layer (3, R, R) of the painted face, and the share (1, S, S) of the frame's pixels to add to it.

    Where the painted face differs from the crop, it is shown itself. Elsewhere the frame is shown, plus the smooth
    part of the difference: light and shade of the painted face, without its noise.
    """
    size, own_size = crop.shape[-1], face.shape[-1]
    first_row = _first_painted_row(size, painted_fraction)
    face_as_crop = _resized(face, size)
    matched = _color_matched(crop, face_as_crop, first_row)
    change = (matched if unsharpened is None else _color_matched(crop, unsharpened, first_row)) - crop
    keep = _unchanged(_averaged(change, NOISE_WINDOW))
    added = (1 - keep) * (matched - face_as_crop) + keep * _averaged(change, BORDER_WINDOW)
    return (1 - _resized(keep, own_size)) * face + _resized(added, own_size), keep


def _first_painted_row(size: int, painted_fraction: float) -> int:
    return min(int(size * (1 - painted_fraction)), size - 1)


def _color_matched(crop: torch.Tensor, face: torch.Tensor, first_row: int) -> torch.Tensor:
    """The face (3, S, S), painted from `first_row` on, in the crop's colors."""
    matched = face - _color_shift(crop[:, first_row:], face[:, first_row:])
    # A shift cannot bring back what the model clipped at 0 and 255; the crop may still have it.
    matched = torch.where(face >= 254.5, matched.maximum(crop), matched)
    matched = torch.where(face <= 0.5, matched.minimum(crop), matched)
    # The rows above get the change of the first painted row, so that resizing does not mix the two at their border.
    matched[:, :first_row] = crop[:, :first_row] + (matched - crop)[:, first_row : first_row + 1]
    return matched


def _color_shift(crop: torch.Tensor, face: torch.Tensor) -> torch.Tensor:
    """How much too bright each channel of the painted part (3, rows, S) is, by column: (3, 1, S)."""
    size = face.shape[-1]
    band = max(1, round(BAND_FRACTION * size))
    difference = (face - crop).where((face > 0.5) & (face < 254.5), torch.nan)
    left, right, upper = difference[..., :band], difference[..., -band:], difference[:, :band]
    bands = [part.flatten(1) for part in (left, upper, right)]
    overall = torch.cat(bands, dim=1).nanmedian(dim=1).values.nan_to_num(0)
    uneven = [(part.nanmedian(dim=1).values - overall).nan_to_num(0) for part in bands]
    uneven = torch.stack(uneven, dim=1).clamp(-MAX_UNEVENNESS, MAX_UNEVENNESS)
    # Interpolated from the left band over the middle of the face to the right band.
    across = F.interpolate(uneven[None], size=size, mode="linear", align_corners=True)[0]
    return (overall.clamp(-MAX_SHIFT, MAX_SHIFT)[:, None] + across)[:, None]


def _unchanged(change: torch.Tensor) -> torch.Tensor:
    """(1, S, S): 1 where nothing within reach changed, down to 0 where something clearly changed."""
    largest = change.abs().amax(dim=0, keepdim=True)
    largest = _with_margin(largest, REACH_WINDOW).unfold(1, REACH_WINDOW, 1).amax(-1)
    largest = largest.unfold(2, REACH_WINDOW, 1).amax(-1)
    share = ((CHANGED - largest) / (CHANGED - UNCHANGED)).clamp(0, 1)
    return _averaged(share, BORDER_WINDOW)


def _averaged(planes: torch.Tensor, window: int) -> torch.Tensor:
    """Means over square windows."""
    rows = _with_margin(planes, window).unfold(1, window, 1).mean(-1)
    return rows.unfold(2, window, 1).mean(-1)


def _with_margin(planes: torch.Tensor, window: int) -> torch.Tensor:
    """The planes with their edge pixels repeated, so that each pixel has a whole window around it."""
    return F.pad(planes, [window // 2] * 4, mode="replicate")


def _planes(image: np.ndarray) -> torch.Tensor:
    """(S, S, 3) to (3, S, S) float32."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), np.float32))


def _resized(planes: torch.Tensor, size: int) -> torch.Tensor:
    """Square planes (C, R, R) scaled to another size."""
    if planes.shape[-1] == size:
        return planes
    weights = _weights(planes.shape[-1], size)
    return weights @ planes @ weights.T


def _enlarged(planes: torch.Tensor, width: int, height: int, top: int) -> np.ndarray:
    """Planes (3, S, S) enlarged to the box, without the rows above `top`: (height - top, width, 3) float32."""
    size = planes.shape[-1]
    weights = _weights(size, height)
    first = int(weights[min(top, height - 1)].nonzero()[0])  # no row from `top` on depends on those above it
    wide = (planes[:, first:] @ _weights(size, width).T).permute(1, 2, 0)
    return (weights[top:, first:] @ wide.reshape(size - first, -1)).view(height - top, width, 3).numpy()


def _weights(size: int, new_size: int) -> torch.Tensor:
    """Weights (new_size, size) float32 of the old pixels of a row in the new ones, as `cubic_weights` gives them."""
    # The image is softened only as far as it is enlarged.
    return torch.from_numpy(cubic_weights(size, new_size, CUBIC_B * float(np.clip(new_size / size - 1, 0, 1))))


def _feather(height: int, width: int) -> np.ndarray:
    """Opacity (height, width): 1 inside, smoothly down to 0 at all four edges."""
    soft = max(1.0, FEATHER_FRACTION * width)
    ramps = (np.minimum(np.arange(n) + 0.5, n - np.arange(n) - 0.5) / soft for n in (height, width))
    rows, columns = (ramp * ramp * (3 - 2 * ramp) for ramp in (ramp.clip(0, 1).astype(np.float32) for ramp in ramps))
    return np.outer(rows, columns)
