"""Painted faces on their way from the device that painted them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch


class ComingFace:
    """A face that may still be on its way from a GPU; `numpy.asarray` waits for it.

    Args:
        host: memory that it is copied to, (S, S, 3) float32.
        is_there: event that follows the copy.
    """

    def __init__(self, host: torch.Tensor, is_there: Any):
        self._host, self._is_there = host, is_there

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        self._is_there.synchronize()
        return np.asarray(self._host.numpy(), dtype=dtype, copy=copy)


Face = np.ndarray | ComingFace


def downloaded(faces: np.ndarray | torch.Tensor) -> Sequence[Face]:
    """Faces (N, S, S, 3), or (N, 3, S, S) on a GPU, one by one; this thread does not wait for those of a GPU."""
    if isinstance(faces, np.ndarray):
        return list(faces)
    faces = faces.permute(0, 2, 3, 1)
    host = torch.empty(faces.shape, dtype=faces.dtype, pin_memory=True)
    host.copy_(faces.contiguous(), non_blocking=True)
    is_there = torch.cuda.Event()
    is_there.record(torch.cuda.current_stream(faces.device))
    return [ComingFace(face, is_there) for face in host]
