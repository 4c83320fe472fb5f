"""Sharpness of a face image, independent of its size, contrast and color."""

import numpy as np
import PIL.Image

# Faces are compared at this size; smaller ones have less detail, which counts as blur.
SHARPNESS_PX = 96


def sharpness(face: np.ndarray) -> float:
    """The variance of the Laplacian of the face's gray levels, divided by the variance of the gray levels.

    Without the division, dark skin and dim light would count as blur. Sharp photos of faces have 0.07 to 0.09, bright
    or dark; blurred by a Gaussian of 1/100 of their width 0.015, of 1/64 0.007, of 1/32 0.002.

    Args:
        face: (h, w, 3) uint8, of any size; resized to `SHARPNESS_PX`.

    Source: Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy"; the division is ours.
    """
    image = PIL.Image.fromarray(face).convert("L").resize((SHARPNESS_PX, SHARPNESS_PX), PIL.Image.Resampling.BILINEAR)
    gray = np.asarray(image, np.float32)
    laplacian = gray[:-2, 1:-1] + gray[2:, 1:-1] + gray[1:-1, :-2] + gray[1:-1, 2:] - 4 * gray[1:-1, 1:-1]
    # At least one level of contrast: rounding is no detail.
    return float(laplacian.var() / max(1.0, gray.var()))
