"""A camera as the source of frames: the newest frame is shown, with the face found in every fourth."""

import threading
from collections import OrderedDict
from dataclasses import astuple
from typing import cast

import cv2
import numpy as np

from ..boxes import FaceBox
from ..faces.detectors import FaceDetector, load_face_detector
from ..faces.search import DEFAULT_STRIDE
from ..faces.tracks import choose_face
from ..lipsync.frame_tasks import crop_for_model
from ..lipsync.option_values import MIN_BOX_PX
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from .shown_frame import ShownFrame

# Share of a new box in the smoothed one. A face that moved by more than half of its box is taken as it is.
NEWNESS, SAME_FACE_IOU = 0.4, 0.5
# How many ticks keep their frame, so that a frame that is painted ahead is shown with its own surroundings.
KEPT_TICKS = 64
DETECTION_PX = 360


class Camera:
    """Frames of a camera, pushed one by one; only the newest is kept.

    Args:
        pipe: the pipeline that will paint.
        width: of the frames, in pixels.
        height: of the frames, in pixels.
        detector: finds faces; the package's own by default.
        stride: it runs on every so-many-th frame.
    """

    def __init__(
        self,
        pipe: Diff2LipPipeline,
        width: int,
        height: int,
        detector: FaceDetector | None = None,
        stride: int = DEFAULT_STRIDE,
    ):
        self.pipe, self.width, self.height, self.stride = pipe, width, height, stride
        self.detector = detector or load_face_detector("mtcnn", pipe._execution_device)
        self._lock = threading.Lock()
        self._box: FaceBox | None = None
        self._count = 0
        self._newest = ShownFrame(np.zeros((height, width, 3), np.uint8))
        self._by_tick: OrderedDict[int, ShownFrame] = OrderedDict()

    def push(self, rgb: np.ndarray) -> None:
        """Takes the next frame, (H, W, 3) uint8.

        Raises:
            ValueError: if it has another size or type.
        """
        if rgb.shape != (self.height, self.width, 3) or rgb.dtype != np.uint8:
            raise ValueError(
                f"`rgb` is {rgb.dtype} {rgb.shape}, expected uint8 ({self.height}, {self.width}, 3), as at first"
            )
        if self._count % self.stride == 0:
            self._find(rgb)
        self._count += 1
        box = self._box and self._box.rounded().clipped(self.width, self.height)
        shown = ShownFrame(rgb.copy())
        if box is not None and min(box.width, box.height) >= MIN_BOX_PX:
            shown.box = box
            shown.crop = crop_for_model(self.pipe, shown.rgb[shown.area])
        with self._lock:
            self._newest = shown

    def at(self, tick: int) -> ShownFrame:
        """The newest frame when this tick was first asked for."""
        with self._lock:
            if tick not in self._by_tick:
                self._by_tick[tick] = self._newest
            if len(self._by_tick) > KEPT_TICKS:
                self._by_tick.popitem(last=False)
            return self._by_tick[tick]

    def _find(self, rgb: np.ndarray) -> None:
        scale = max(1.0, max(self.width, self.height) / DETECTION_PX)
        size = max(1, round(self.width / scale)), max(1, round(self.height / scale))
        thumbnail = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        boxes = [found.box.scaled(scale, scale) for found in self.detector([thumbnail])[0]]
        index = choose_face(boxes)
        found = None if index is None else boxes[index]
        if found is not None and self._box is not None and found.iou(self._box) > SAME_FACE_IOU:
            old, new = astuple(self._box), astuple(found)
            found = FaceBox(*((1 - NEWNESS) * a + NEWNESS * b for a, b in zip(old, new, strict=True)))
        self._box = cast(FaceBox | None, found)
