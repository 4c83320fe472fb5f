"""The first frame of a video with its faces, to choose one of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from ..boxes import FaceBox
from ..evaluation.aligned_frames import known_boxes
from ..faces.detections_file import read_detections
from ..faces.detectors import load_face_detector
from ..faces.tracks import choose_face
from ..media.reader import probe_video, read_frames
from .job_inputs import SHIPPED_FACE, is_shipped_face

SHOWN_PX = 640
LARGEST = "the largest"
CHOSEN_COLOR, OTHER_COLOR = (255, 110, 40), (255, 255, 255)
LABEL_PX = 24


@dataclass(frozen=True)
class FirstFrame:
    """The first frame, small enough for the page.

    Attributes:
        image: (h, w, 3) uint8 RGB.
        faces: boxes in it, from left to right.
        scale: size of the frame itself divided by that of the image.
    """

    image: np.ndarray
    faces: list[FaceBox]
    scale: float

    @property
    def names(self) -> list[str]:
        """What can be chosen."""
        return [LARGEST, *(f"face {number}" for number in range(1, len(self.faces) + 1))]

    def name_at(self, x: float, y: float) -> str:
        """The name of the face at a point of the image; the largest one if there is none."""
        index = choose_face(self.faces, (x, y))
        return LARGEST if index is None else self.names[index + 1]

    def index_of(self, name: str | None) -> int | None:
        """The number of the face that a name means; None if there is none."""
        if name in self.names[1:]:
            return self.names.index(name) - 1
        return choose_face(self.faces, "largest")

    def option(self, name: str | None) -> str | tuple[float, float]:
        """What `SyncOptions` calls that choice: a point on the face, in pixels of the frame itself."""
        index = self.index_of(name)
        if name not in self.names[1:] or index is None:
            return "largest"
        box = self.faces[index]
        return (box.x1 + box.x2) / 2 * self.scale, (box.y1 + box.y2) / 2 * self.scale

    def drawn(self, name: str | None) -> PIL.Image.Image:
        """The image with the faces framed and numbered, the chosen one in another color and thicker."""
        picture = PIL.Image.fromarray(self.image)
        draw = PIL.ImageDraw.Draw(picture)
        chosen = self.index_of(name)
        font = PIL.ImageFont.load_default(LABEL_PX)
        for index, box in enumerate(self.faces):
            color, width = (CHOSEN_COLOR, 4) if index == chosen else (OTHER_COLOR, 2)
            draw.rectangle((box.x1, box.y1, box.x2, box.y2), outline=color, width=width)
            if len(self.faces) > 1:
                draw.text((box.x1 + 6, box.y1 + 2), str(index + 1), color, font, stroke_width=2, stroke_fill=(0, 0, 0))
        return picture


def read_first_frame(video: Path, max_pixels: int) -> FirstFrame:
    """The first frame of a video and the faces that the default detector finds in it.

    Raises:
        MediaError: if the video cannot be read.
    """
    frame = next(iter(read_frames(video, max_pixels=max_pixels)))
    scale = max(1.0, max(frame.width, frame.height) / SHOWN_PX)
    width, height = round(frame.width / scale), round(frame.height / scale)
    image = frame.thumbnail(width, height)
    boxes = [box.scaled(1 / scale, 1 / scale) for box in _known(video, frame.width, frame.height)]
    boxes = boxes or [face.box.clipped(width, height) for face in load_face_detector()([image])[0]]
    return FirstFrame(image, sorted(boxes, key=lambda box: box.x1 + box.x2), scale)


def _known(video: Path, width: int, height: int) -> list[FaceBox]:
    """The boxes of the clip in the package."""
    boxes = known_boxes(SHIPPED_FACE) if is_shipped_face(video) else None
    if boxes is None:
        return []
    return [face.box for face in read_detections(boxes, width, height, probe_video(video).fps)[0]]
