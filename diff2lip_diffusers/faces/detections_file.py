"""A file of face detections, so that a second run over the same video needs no detector.

The file is JSON lines: a header with the format and the video's size and rate; for each frame, in order, the list of
its faces as `[x1, y1, x2, y2, score]` in pixels of the upright frame in full size; and at the end `{"frames": N}`,
which a truncated file lacks.
"""

import json
import tempfile
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import astuple
from fractions import Fraction
from pathlib import Path
from typing import TextIO

from ..boxes import Detection, FaceBox
from ..errors import MediaError
from ..media.containers import check_no_pipe

FORMAT, VERSION = "diff2lip-detections", 1
DECIMALS = 2
NUMBERS_PER_FACE = 5
# Longer first lines are no header and are not read into memory.
MAX_HEADER_CHARS = 10_000
MAX_NUMBER = 1e9
CURE = "delete it to run the detector again"


@contextmanager
def _accessing(path: str | Path, action: str, cure: str) -> Iterator[None]:
    """Turns errors of the disk into a MediaError that names the file."""
    try:
        yield
    except OSError as error:
        raise MediaError(path, f"cannot be {action}: {error.strerror or error}; {cure}") from error


class DetectionsWriter:
    """Writes the detections of a video frame by frame.

    A context manager: the complete file appears when the block ends. If the block raises, the file stays as it was.

    Args:
        path: the file to write.
        width: of the upright video in full size, in pixels.
        height: of the upright video in full size, in pixels.
        fps: frames per second.

    Raises:
        MediaError: on entering, writing or leaving, if the file cannot be written.
    """

    def __init__(self, path: str | Path, width: int, height: int, fps: Fraction | float):
        self.path = Path(path)
        self.frame_count = 0
        self._header = {
            "format": FORMAT,
            "version": VERSION,
            "width": width,
            "height": height,
            "fps": str(Fraction(fps)),
        }

    def __enter__(self) -> "DetectionsWriter":
        with self._writing(), ExitStack() as stack:
            if self.path.is_dir():
                raise IsADirectoryError("it is a folder")
            folder = stack.enter_context(tempfile.TemporaryDirectory(dir=self.path.parent, prefix=".detections."))
            self._part = Path(folder) / "part"
            self._file: TextIO = stack.enter_context(self._part.open("w", encoding="utf-8"))
            self._write_line(self._header)
            self._cleanup = stack.pop_all()
        return self

    def write(self, detections: Sequence[Detection]) -> None:
        """Appends the next frame's faces, in pixels of the full size.

        Raises:
            ValueError: a box with edges or a score that are not finite, or with edges in the wrong order.
            MediaError: the disk is full.
        """
        faces = [[round(float(number), DECIMALS) for number in (*astuple(d.box), d.score)] for d in detections]
        if not all(map(_is_face, faces)):
            raise ValueError(f"`detections` of frame {self.frame_count} must be finite boxes, got {detections}")
        with self._writing():
            self._write_line(faces)
        self.frame_count += 1

    def __exit__(self, error_type, error, traceback) -> None:
        with self._writing(), self._cleanup:
            if error_type is None:
                self._write_line({"frames": self.frame_count})
                self._file.close()
                self._part.replace(self.path)

    def _write_line(self, value: dict | list) -> None:
        self._file.write(json.dumps(value) + "\n")

    def _writing(self):
        return _accessing(self.path, "written", "choose another folder or make room")


class Detections:
    """The detections of a video by frame number; 40 bytes per face and 8 per frame in memory.

    `detections[frame_index]` returns the faces of a frame, counted from 0, in pixels of the full size; `len()` is the
    number of frames.

    Attributes:
        path: the file that they come from.

    Raises:
        ValueError: on a look-up with a negative number.
        MediaError: on a look-up beyond the last frame of the file.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._numbers, self._ends = array("d"), array("q", [0])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __iter__(self) -> Iterator[list[Detection]]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, frame_index: int) -> list[Detection]:
        if frame_index < 0:
            raise ValueError(f"`frame_index` must be 0 or more, got {frame_index}")
        if frame_index >= len(self):
            reason = f"has faces of {len(self)} frames and was made for a shorter video; {CURE}"
            raise MediaError(self.path, reason)
        start, end = self._ends[frame_index : frame_index + 2]
        faces = (self._numbers[place : place + NUMBERS_PER_FACE] for place in range(start, end, NUMBERS_PER_FACE))
        return [Detection(FaceBox(*edges), score) for *edges, score in faces]

    def _append(self, faces: list[list[float]]) -> None:
        for face in faces:
            self._numbers.extend(map(float, face))
        self._ends.append(len(self._numbers))


def read_detections(path: str | Path, width: int, height: int, fps: Fraction | float) -> Detections:
    """Reads a file that [`DetectionsWriter`] wrote for a video of this size and rate.

    Args:
        path: the file.
        width: of the upright video in full size, in pixels.
        height: of the upright video in full size, in pixels.
        fps: frames per second.

    Raises:
        MediaError: the file cannot be read, is not a complete file of detections, or is for another size or rate.
    """
    fps = Fraction(fps)
    with ExitStack() as stack:
        stack.enter_context(_accessing(path, "read", "check its name and permissions"))
        check_no_pipe(Path(path))
        file = stack.enter_context(open(path, encoding="utf-8"))
        try:
            _check_header(path, _parse(file.readline(MAX_HEADER_CHARS), "line 1"), width, height, fps)
            return _read_frames(path, file)
        except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, or not the expected values
            reason = f"is not a complete file of detections ({_first_line(error)}); {CURE}"
            raise MediaError(path, reason) from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _check_header(path: str | Path, header, width: int, height: int, fps: Fraction) -> None:
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ValueError("its first line is not the header")
    if header.get("version") != VERSION:
        raise MediaError(path, f"has version {header.get('version')!r}, not {VERSION}; {CURE}")
    theirs = (header.get("width"), header.get("height"), header.get("fps"))
    if theirs != (width, height, str(fps)):
        was, now = ("{}x{} at {} frames/s".format(*video) for video in (theirs, (width, height, fps)))
        raise MediaError(path, f"was made for {was}, not for {now}; name another file, or {CURE}")


def _read_frames(path: str | Path, file: TextIO) -> Detections:
    detections = Detections(path)
    for line in file:
        value = _parse(line, f"line {len(detections) + 2}")
        if isinstance(value, dict):
            if value != {"frames": len(detections)} or file.read(1).strip():
                raise ValueError(f"its last line does not match its {len(detections)} frames")
            return detections
        if not isinstance(value, list) or not all(map(_is_face, value)):
            raise ValueError(f"line {len(detections) + 2} is not a list of [x1, y1, x2, y2, score], x1 < x2, y1 < y2")
        detections._append(value)
    raise ValueError("it is truncated")


def _parse(line: str, name: str) -> list | dict:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name} is not JSON: {line[:20].rstrip()!r}") from error


def _is_face(face) -> bool:
    """Tells whether this is a list of finite numbers [x1, y1, x2, y2, score] with the edges in order."""
    if not isinstance(face, list) or len(face) != NUMBERS_PER_FACE:
        return False
    # `type` rejects True; the comparison rejects NaN, infinity and numbers beyond any frame.
    numbers = all(type(number) in (int, float) and abs(number) < MAX_NUMBER for number in face)
    return numbers and face[0] <= face[2] and face[1] <= face[3]
