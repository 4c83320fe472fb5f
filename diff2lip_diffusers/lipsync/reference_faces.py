"""Reference faces: what the model is shown of a person, beside the frame that it paints.

The frame itself shows its mouth, too, and a little of that leaks into the painted one. Another frame does not, if its
mouth is shut.
"""

import random
from collections.abc import Iterable, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from ..detail.luma import match_luma
from ..detail.matching import upper_difference
from ..errors import FaceNotFoundError, MediaError
from ..faces.portraits import Look, best_portrait
from ..media.reader import probe_video
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from .compositing import resize_image
from .face_boxes import BoxedFrame, BoxedFrames
from .options import SyncOptions
from .source_video import SourceVideo
from .stage_timer import StageTimer

# So many frames are searched for the best ones, each of them so far apart.
SEARCHED_FRAMES, SPACING = 512, 2
# Levels of the upper face by which a frame may differ from its reference; in another shot or light it does by more.
MOST_UNLIKE = 30.0


class ReferenceFaces:
    """The reference faces of a job.

    Args:
        crops: one a track, (S, S, 3) uint8; None where each frame is its own.
        everywhere: whether they are shown also where they do not look like the frame.
    """

    def __init__(self, crops: Sequence[np.ndarray | None], everywhere: bool):
        self.crops, self.everywhere = crops, everywhere
        self._lumas = [None if crop is None or everywhere else match_luma(crop) for crop in crops]

    def of(self, track: int, crop: np.ndarray) -> np.ndarray:
        """What shows the identity of a face, (S, S, 3) uint8, as its own crop (S, S, 3) uint8."""
        reference, luma = self.crops[track], self._lumas[track]
        if reference is None or (luma is not None and upper_difference(luma, match_luma(crop)) > MOST_UNLIKE):
            return crop
        return reference


def reference_faces(pipe: Diff2LipPipeline, boxed: BoxedFrames, options: SyncOptions) -> ReferenceFaces | None:
    """The reference faces of a job, found before its first frame is painted; None where each frame is its own.

    Raises:
        FaceNotFoundError: if the frame that was drawn has no face.
        MediaError: if the file of the reference cannot be read, or shows no face.
    """
    if options.mode == "random":
        return ReferenceFaces([_random_face(pipe, boxed, options)], everywhere=True)
    chosen = options.shown_reference
    if chosen == "frame":
        return None
    if chosen == "best":
        return ReferenceFaces(_best_faces(pipe, boxed, len(boxed.faces)), everywhere=False)
    return ReferenceFaces([_face_in(pipe, Path(chosen), options)], everywhere=True)


def crop_for_model(pipe: Diff2LipPipeline, pixels: np.ndarray) -> np.ndarray:
    """Pixels uint8 (h, w, 3) in the size of the pipeline's crops, (S, S, 3)."""
    size = pipe.unet.config.sample_size
    return resize_image(pixels, size, size)


def _random_face(pipe: Diff2LipPipeline, boxed: BoxedFrames, options: SyncOptions) -> np.ndarray:
    """The crop of one frame drawn with the seed. Source: the original program."""
    count = sum(1 for _ in boxed.frames())
    index = random.Random(options.seed).randint(0, count - 1)
    drawn = next(islice(boxed, index, None))
    if drawn.box is None:
        raise FaceNotFoundError(index)
    return crop_for_model(pipe, drawn.frame.rgb(drawn.box))


def _face_in(pipe: Diff2LipPipeline, path: Path, options: SyncOptions) -> np.ndarray:
    """The best face in a file of the user's."""
    finding = SyncOptions(detector=options.detector, detection_size=options.detection_size, pads=options.pads)
    source = SourceVideo(path)
    boxed = BoxedFrames(source, probe_video(path).fps, 0, None, finding, pipe._execution_device, StageTimer())
    (face,) = _best_faces(pipe, boxed, 1)
    if face is None:
        raise MediaError(path, "shows no face; choose another reference")
    return face


def _best_faces(pipe: Diff2LipPipeline, boxed: Iterable[BoxedFrame], tracks: int) -> list[np.ndarray | None]:
    """The crop that shows each track's face best, among the first frames; None where none shows it."""
    crops: list[list[np.ndarray]] = [[] for _ in range(tracks)]
    looks: list[list[Look]] = [[] for _ in range(tracks)]
    size = pipe.unet.config.sample_size
    with closing(iter(boxed)) as entries:  # pyright: ignore[reportArgumentType] (a generator)
        for entry in islice(entries, 0, SEARCHED_FRAMES, SPACING):
            for track, box in enumerate(entry.boxes):
                if box is not None:
                    pixels = entry.frame.rgb(box)
                    crops[track].append(crop_for_model(pipe, pixels))
                    looks[track].append(Look.of(cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA)))
    return [own[best_portrait(seen)] if own else None for own, seen in zip(crops, looks, strict=True)]
