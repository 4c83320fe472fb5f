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

# Levels by which a warped exemplar may differ from the painted face, and the pixels (of the model's size) over which
# differences are averaged.
TOLERANCE, AVERAGED_PX = 10.0, 1.5
# The higher, the more the best exemplar at a place outweighs the others there.
POWER = 4
# How full resolution is warped.
WARPING = cv2.INTER_LINEAR


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


def agreement(painted: np.ndarray, other: np.ndarray, tolerance: float) -> np.ndarray:
    """(s, S) float32: 1 where another image agrees with the painted one, both (s, S, 3), down to 0."""
    difference = np.abs(painted - other).mean(axis=2)
    return np.exp(blurred(difference * difference, AVERAGED_PX) * np.float32(-0.5 / tolerance**2))


def blended_detail(painted: PaintedFace, bank: Bank, matches: Sequence[Match]) -> tuple[np.ndarray, np.ndarray]:
    """The detail (r, R, 3) float32 that a plain enlargement lacks, and how far (s, S) they agree.

    Args:
        painted: the face.
        bank: the exemplars.
        matches: those that look like it, one or more.
    """
    warps = [_flow(painted, bank, match) for match in matches]
    smalls = [
        warped(bank.small(match.index), flow, cv2.INTER_CUBIC) for match, flow in zip(matches, warps, strict=True)
    ]
    agreements = np.stack([agreement(painted.lower, small, TOLERANCE) for small in smalls])
    shares = agreements**POWER
    shares /= shares.sum(axis=0) + np.float32(1e-12)
    # The detail is what the exemplars have in full resolution, less what an enlargement of the small ones has.
    detail = sum(
        resized(share, bank) * warped(bank.detailed(match.index), flow, WARPING)
        for share, match, flow in zip(shares, matches, warps, strict=True)
    )
    small = np.einsum("nhw,nhwc->hwc", shares, np.stack(smalls))
    detail = detail - _enlarged_lower(small, bank)
    agreed = (shares * agreements).sum(axis=0)
    return detail * resized(agreed, bank), agreed


def resized(weights: np.ndarray, bank: Bank) -> np.ndarray:
    """Weights (s, S) of the model's size in the sharpened one, (r, R, 1)."""
    rows = bank.size - bank.top
    return cv2.resize(weights, (bank.size, rows), interpolation=cv2.INTER_LINEAR)[..., None]


def _enlarged_lower(small: np.ndarray, bank: Bank) -> np.ndarray:
    """The lower part (s, S, 3) of a face enlarged to (r, R, 3)."""
    whole = np.concatenate([np.repeat(small[:1], bank.first_row, axis=0), small])
    return enlarged(whole, bank.size, first_row=bank.top)


def _flow(painted: PaintedFace, bank: Bank, match: Match) -> np.ndarray:
    across, down = match.shift
    return find_flow(painted.luma, bank.luma(match.index), (across * FLOW_PX, down * FLOW_PX))
