"""Blending: the detail of several exemplars, as far as each agrees with the painted face."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .bank import Bank
from .enlargement import enlarged
from .flow import find_flow, warped
from .luma import FLOW_PX, blurred, flow_luma
from .matching import Match
from .opening import opening_of

# Levels by which a warped exemplar may differ from the painted face, and the pixels (of the model's size) over which
# differences are averaged.
TOLERANCE, AVERAGED_PX = 10.0, 1.5
# The higher, the more the best exemplar at a place outweighs the others there.
POWER = 4
# Each how many pixels energies are measured.
SPARSE_PX = 4


@dataclass(frozen=True)
class PaintedFace:
    """A painted face, prepared.

    Attributes:
        face: (S, S, 3) float32 in [0, 255].
        lower: its rows that get detail, (s, S, 3).
        luma: the same as the flow sees them.
    """

    face: np.ndarray
    lower: np.ndarray
    luma: np.ndarray

    @classmethod
    def of(cls, face: np.ndarray, first_row: int) -> "PaintedFace":
        """Prepares a face (S, S, 3) float32 in [0, 255]."""
        return cls(face, face[first_row:], flow_luma(face, first_row))


@dataclass(frozen=True)
class Blend:
    """The blended detail of a face.

    Attributes:
        detail: (r, R, 3) float32, what a plain enlargement lacks.
        agreed: in [0, 1], how far the exemplars agree with the painted face, on average over the mouth.
        weakened: at least 1: how many times as strong, in levels, the detail of single exemplars is on average.
    """

    detail: np.ndarray
    agreed: float
    weakened: float


def agreement(painted: np.ndarray, other: np.ndarray, tolerance: float) -> np.ndarray:
    """(s, S) float32: 1 where another image agrees with the painted one, both (s, S, 3), down to 0."""
    difference = np.abs(painted - other).mean(axis=2)
    return np.exp(blurred(difference * difference, AVERAGED_PX) * np.float32(-0.5 / tolerance**2))


def blended_detail(painted: PaintedFace, bank: Bank, matches: Sequence[Match]) -> Blend:
    """Blends the detail of exemplars.

    Args:
        painted: the face.
        bank: the exemplars.
        matches: those that look like it, one or more.
    """
    flows = [_flow(painted, bank, match) for match in matches]
    smalls = np.stack(
        [warped(bank.small(match.index), flow, cv2.INTER_CUBIC) for match, flow in zip(matches, flows, strict=True)]
    )
    agreements = np.stack([agreement(painted.lower, small, TOLERANCE * bank.leniency) for small in smalls])
    shares = _shares(agreements, opening_of(painted.lower, bank.first_row))
    agreed = (shares * agreements).sum(axis=0)
    # The detail is what the exemplars have in full resolution, less what an enlargement of the small ones has.
    detail, energy = np.zeros((bank.size - bank.top, bank.size, 3), np.float32), 0.0
    for share, small, match, flow in zip(shares, smalls, matches, flows, strict=True):
        large, weight = warped(bank.detailed(match.index), flow, bank.warping), resized(share, bank)
        energy += _energy(_sparse(large) - _enlarged_lower(small, bank, SPARSE_PX), _sparse(weight))
        detail += weight * large
    detail -= _enlarged_lower(np.einsum("nhw,nhwc->hwc", shares, smalls), bank)
    weakened = np.sqrt(energy / max(_energy(_sparse(detail)), 1e-6))
    detail *= resized(agreed, bank)
    return Blend(detail, float(_middle(agreed).mean()), max(1.0, float(weakened)))


def _shares(agreements: np.ndarray, opening: np.ndarray | None) -> np.ndarray:
    """Shares (n, s, S) of exemplars in the blend, by how far each agrees; all of the opening shows one exemplar's."""
    shares = agreements**POWER
    shares /= shares.sum(axis=0) + np.float32(1e-12)
    if opening is None:
        return shares
    # Two sets of teeth in one blend are a smear.
    best = int((opening * np.log(agreements + np.float32(1e-12))).sum(axis=(1, 2)).argmax())
    shares *= 1 - opening
    shares[best] += opening
    return shares


def _energy(detail: np.ndarray, weight: np.ndarray | float = 1.0) -> float:
    """Energy of detail, without the sides of the face."""
    return float(_middle(weight * np.square(detail)).sum(dtype=np.float64))


def _middle(image: np.ndarray) -> np.ndarray:
    """Without a sixth at the left and at the right."""
    side = image.shape[1] // 6
    return image[:, side:-side]


def _sparse(image: np.ndarray) -> np.ndarray:
    return image[::SPARSE_PX, ::SPARSE_PX]


def resized(weights: np.ndarray, bank: Bank) -> np.ndarray:
    """Weights (s, S) of the model's size in the sharpened one, (r, R, 1)."""
    rows = bank.size - bank.top
    return cv2.resize(weights, (bank.size, rows), interpolation=cv2.INTER_LINEAR)[..., None]


def _enlarged_lower(small: np.ndarray, bank: Bank, step: int = 1) -> np.ndarray:
    """The lower part (s, S, 3) of a face enlarged to (r, R, 3); of that, each `step`-th row and column."""
    whole = np.concatenate([np.repeat(small[:1], bank.first_row, axis=0), small])
    return enlarged(whole, bank.size, first_row=bank.top, step=step)


def _flow(painted: PaintedFace, bank: Bank, match: Match) -> np.ndarray:
    across, down = match.shift
    return find_flow(painted.luma, bank.luma(match.index), (across * FLOW_PX, down * FLOW_PX))
