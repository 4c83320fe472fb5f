"""Errors that a user can fix: one class per cause, one clear line each."""

from collections.abc import Sequence
from pathlib import Path


class Diff2LipError(Exception):
    """Base of all errors that the command line reports as one line with exit code 1."""


class MediaError(Diff2LipError):
    """A file or folder that cannot be read or written.

    Attributes:
        path: the file or folder.
    """

    def __init__(self, path: str | Path, reason: str):
        self.path = Path(path)
        super().__init__(f"{path}: {reason}")


class NoAudioError(MediaError):
    """A file without an audio stream."""

    def __init__(self, path: str | Path):
        super().__init__(path, "has no audio stream; pass a file with audio")


class AudioTooShortError(Diff2LipError):
    """Audio that is too short for one frame of the model.

    Attributes:
        have_s: length of the audio in seconds.
        need_s: shortest usable length in seconds.
        path: the file; None for audio in memory.
    """

    def __init__(self, have_s: float, need_s: float, path: str | Path | None = None):
        self.have_s, self.need_s, self.path = have_s, need_s, path
        where = "the audio" if path is None else f"{path}: its audio"
        super().__init__(f"{where} lasts {have_s:.3f} s, but needs at least {need_s:.3f} s; pass a longer recording")


class FaceNotFoundError(Diff2LipError):
    """No face where one is needed.

    Attributes:
        frame_index: the frame without a face, from 0; None if no frame with speech shows the wanted face.
    """

    def __init__(self, frame_index: int | None = None, wanted: object = "largest", segment: str | None = None):
        self.frame_index = frame_index
        where = "in any frame with speech" if frame_index is None else f"in frame {frame_index}"
        if wanted == "largest":
            which, cure = "no face found", "set a fixed box x1,y1,x2,y2 (--box)"
        elif isinstance(wanted, tuple):
            which, cure = f"no face found at {wanted[0]:g},{wanted[1]:g}", "choose a point on a face (--face)"
        else:
            which, cure = f"no face number {wanted} found", "count from 0 on the left, or choose a point (--face)"
        if segment is not None:
            which, where, cure = f"{segment}: {which}", "in its frames", "choose another `face`, or other times"
        super().__init__(f"{which} {where}; {cure}")


class CheckpointError(Diff2LipError):
    """A file that is not a complete Diff2Lip checkpoint.

    Attributes:
        missing: tensor names that a Diff2Lip checkpoint has and the file lacks.
        unexpected: tensor names that a Diff2Lip checkpoint does not have.
    """

    def __init__(self, reason: str, missing: tuple[str, ...] = (), unexpected: tuple[str, ...] = ()):
        self.missing, self.unexpected = tuple(missing), tuple(unexpected)
        parts = [reason]
        for label, names in (("missing", self.missing), ("unexpected", self.unexpected)):
            if names:
                more = f" and {len(names) - 3} more" if len(names) > 3 else ""
                parts.append(f"{label} {', '.join(names[:3])}{more}")
        super().__init__("; ".join(parts))


class PairListError(Diff2LipError):
    """A list of pairs with errors.

    Attributes:
        path: the list.
        problems: one line for each, in the order of the list.
    """

    def __init__(self, path: str | Path, problems: Sequence[str]):
        self.path, self.problems = Path(path), tuple(problems)
        more = f"; and {len(self.problems) - 3} more" if len(self.problems) > 3 else ""
        super().__init__(f"{path}: {'; '.join(self.problems[:3])}{more}")


class StoppedError(Diff2LipError):
    """Ends a process after the main process has reported why the work cannot be done."""
