"""Dense optical flow, and warping along it.

Flows are (h, w, 2) float32, x and y in pixels of the images between which they were found.
"""

import threading
from functools import lru_cache

import cv2
import numpy as np

REFINEMENTS = 5
# OpenCV splits an image into as many stripes as it has threads, and the flow depends on the stripes. The number of
# threads belongs to the whole process.
_one_thread = threading.Lock()
_of_thread = threading.local()


def find_flow(here: np.ndarray, there: np.ndarray, shift: tuple[float, float] = (0, 0)) -> np.ndarray:
    """The flow with which here(x) = there(x + flow(x)).

    Args:
        here: (h, w) uint8.
        there: (h, w) uint8.
        shift: x and y, where the search begins.

    Source: Kroeger and others, "Fast Optical Flow using Dense Inverse Search", 2016, as OpenCV has it.
    """
    begun = np.empty((*here.shape, 2), np.float32)
    begun[...] = shift
    with _one_thread:
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            return _search().calc(np.ascontiguousarray(here), np.ascontiguousarray(there), begun)
        finally:
            cv2.setNumThreads(threads)


def warped(image: np.ndarray, flow: np.ndarray, interpolation: int = cv2.INTER_LINEAR) -> np.ndarray:
    """The image "there" (h', w', C) as it is "here"; it may be larger than the flow. Edge pixels repeat outside."""
    across, down = cv2.split(_places(flow, *image.shape[:2]))
    return cv2.remap(image, across, down, interpolation, borderMode=cv2.BORDER_REPLICATE)


def _places(flow: np.ndarray, height: int, width: int) -> np.ndarray:
    """Where each pixel of an image (height, width) comes from."""
    scale = width / flow.shape[1]
    return cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR) * np.float32(scale) + _grid(height, width)


@lru_cache(maxsize=16)
def _grid(height: int, width: int) -> np.ndarray:
    across, down = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.dstack([across, down])


def _search() -> cv2.DISOpticalFlow:
    """The search of this thread; it keeps buffers."""
    if not hasattr(_of_thread, "search"):
        search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        search.setFinestScale(0)
        search.setVariationalRefinementIterations(REFINEMENTS)
        _of_thread.search = search
    return _of_thread.search
