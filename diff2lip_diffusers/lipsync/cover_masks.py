"""Masks of a job: where each frame must not be painted, from a video or images of the user."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice, repeat
from pathlib import Path

import numpy as np

from ..boxes import FaceBox
from ..errors import MediaError
from ..media.frame import Frame
from ..media.length import REVERSED_BYTES
from ..media.reader import VideoInfo, probe_video, read_frames
from .options import SyncOptions
from .source_video import SourceVideo

# Levels from black to white: below the first nothing is covered, from the second on all is. Compression changes both.
BLACK, WHITE = 32, 224
# Lengths by the headers may differ by this share before the frames are counted.
HEADER_TOLERANCE, HEADER_TOLERANCE_S = 0.05, 0.5
# Containers round time stamps, so that the rates of equal frames differ a little.
RATE_TOLERANCE = Fraction(1, 100)
CURE = "make it of the frames of the video, one by one"


class CoverMasks:
    """The masks of a video, by the numbers of its frames. Not thread-safe.

    Args:
        path: a video or a folder of numbered images, as large and as long as the face video; or one image for all.
        source: the face video.
        fps: frames a second at which it is read.

    Raises:
        MediaError: if the masks cannot be read, or have another size, length or rate than the video.
    """

    def __init__(self, path: Path, source: SourceVideo, fps: Fraction):
        self.path, self.fps, self.max_pixels = path, fps, source.max_pixels
        info = probe_video(path, self.max_pixels)
        self._is_still = info.is_still
        self._check_alike(info, source)
        self._frames: Iterator[Frame] = iter(())
        self._next, self._held = -1, dict[int, Frame]()

    def at(self, number: int, box: FaceBox) -> np.ndarray:
        """How much is covered inside a box of whole pixels, (h, w) float32: 0 nothing, 1 all.

        Args:
            number: of the frame in the source, from 0.
            box: inside the frame.

        Raises:
            MediaError: if there is no such mask, or it cannot be read.
        """
        levels = self._frame(number).rgb(box).mean(axis=2, dtype=np.float32)
        return ((levels - BLACK) / (WHITE - BLACK)).clip(0, 1)

    def check_count(self, count: int) -> None:
        """Makes sure that there are exactly so many masks.

        Raises:
            MediaError: there are more or fewer.
        """
        if self._is_still or not count:
            return
        found = len(list(islice(self._read(count - 1), 2)))
        if found != 1:
            many = "fewer" if found == 0 else "more"
            raise MediaError(self.path, f"has {many} frames than the video, which has {count}; {CURE}")

    def _check_alike(self, info: VideoInfo, source: SourceVideo) -> None:
        of_video = source.info
        sizes = [f"{one.width}x{one.height}" for one in (info, of_video)]
        if sizes[0] != sizes[1]:
            raise MediaError(self.path, f"is {sizes[0]}, but the video {sizes[1]}; {CURE}")
        if info.is_still:
            return
        if self.path.is_dir() and not Path(source.path).is_dir():
            if self.fps != of_video.fps:
                reason = f"is a folder, one image a frame at {float(of_video.fps):g} frames/s; leave out fps, or pass"
                raise MediaError(self.path, f"{reason} a video")
            return
        if abs(info.fps - of_video.fps) > RATE_TOLERANCE * of_video.fps:
            rates = [f"{float(one.fps):g}" for one in (info, of_video)]
            raise MediaError(self.path, f"has {rates[0]} frames/s, but the video {rates[1]}; {CURE}")
        if info.duration_s is None or of_video.duration_s is None:
            return
        if abs(info.duration_s - of_video.duration_s) > HEADER_TOLERANCE * of_video.duration_s + HEADER_TOLERANCE_S:
            lengths = f"lasts {info.duration_s:.2f} s, but the video {of_video.duration_s:.2f} s"
            raise MediaError(self.path, f"{lengths}; {CURE}")

    def _frame(self, number: int) -> Frame:
        if number not in self._held:
            self._move_to(number)
        return self._held[number]

    def _move_to(self, number: int) -> None:
        """Reads up to a frame. If that lies before the last one, those before it may be next: they are kept, too."""
        kept = 1
        if number != self._next:
            if number < self._next:
                kept = max(2, REVERSED_BYTES // next(iter(self._held.values())).nbytes) if self._held else 2
            self._next = max(0, number - kept + 1)
            self._frames = self._read(self._next)
        self._held = {}
        while self._next <= number:
            frame = next(self._frames, None)
            if frame is None:
                self._next = -1
                raise MediaError(self.path, f"has no frame {number}, but the video has; {CURE}")
            self._held[self._next] = frame
            self._next += 1

    def _read(self, start: int) -> Iterator[Frame]:
        frames = read_frames(self.path, self.fps, 0 if self._is_still else start, self.max_pixels)
        return repeat(next(frames)) if self._is_still else frames


def masks_of(source: SourceVideo, fps: Fraction, options: SyncOptions) -> CoverMasks | None:
    """The masks that the options of a job name; None if they name none.

    Raises:
        MediaError: as `CoverMasks` does.
    """
    return None if options.mask is None else CoverMasks(Path(options.mask), source, fps)
