"""The files of the steps of a split clip, in a folder that processes share. A step is done when its file is there."""

import json
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from ..boxes import FaceBox
from ..detail.exemplars import Exemplar
from ..errors import MediaError
from ..lipsync.exemplar_windows import Stretch
from ..lipsync.reference_faces import ReferenceFaces
from .heartbeat import accessing, read_if_there

REFERENCES_NAME = "references.npz"
# What the files of the steps hold.
STEP_KEYS = {
    "boxes": {"numbers": list, "tracks": list},
    "part": {"num_frames": int, "num_faceless": int, "num_painted": int, "suffix": str, "stage_s": dict},
    "clip": {"num_frames": int, "started_s": float, "stage_s": dict},
}


class ClipSteps:
    """The files of one clip.

    Args:
        folder: holds them; it is made with the first file.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def names(self) -> set[str]:
        """The names of the files that say that a step is done."""
        return {path.name for path in self.folder.glob("*.json")} if self.folder.is_dir() else set()

    def read(self, name: str) -> dict[str, Any] | None:
        """The content of a file; None if it is not there. A damaged one is removed, with all steps of the clip.

        Raises:
            MediaError: if it was damaged.
        """
        content = read_if_there(self.folder / name)
        if content is None:
            return None
        keys = STEP_KEYS[name.partition("-")[0].removesuffix(".json")]
        try:
            value = json.loads(content[0])
            if all(isinstance(value[key], kind) for key, kind in keys.items()):
                return value
        except (ValueError, TypeError, KeyError, RecursionError):
            pass
        raise self._damaged(name)

    def read_needed(self, name: str) -> dict[str, Any]:
        """The content of a file.

        Raises:
            MediaError: if it is not there, or was damaged.
        """
        found = self.read(name)
        if found is None:
            raise MediaError(self.folder / name, "is gone; start the batch again")
        return found

    def write(self, name: str, value: dict) -> None:
        """Writes a file.

        Raises:
            MediaError: if it cannot be written.
        """
        self._put(name, lambda path: path.write_text(json.dumps(value), encoding="utf-8"))

    def references(self) -> ReferenceFaces | None:
        """The faces that show the identity; None where each frame shows its own.

        Raises:
            MediaError: if they were damaged.
        """
        if not (self.folder / REFERENCES_NAME).exists():
            return None
        with self._arrays(REFERENCES_NAME) as found:
            crops = [found.get(f"crop_{track}") for track in range(int(found["num_tracks"]))]
            return ReferenceFaces(crops, bool(found["everywhere"]))

    def write_references(self, references: ReferenceFaces) -> None:
        """Writes the faces that show the identity."""
        arrays = {"num_tracks": np.array(len(references.crops)), "everywhere": np.array(references.everywhere)}
        arrays |= {f"crop_{track}": crop for track, crop in enumerate(references.crops) if crop is not None}
        self._put(REFERENCES_NAME, lambda path: _save_arrays(path, arrays))

    def boxes_of(self, part: int) -> tuple[list[int], list[tuple[FaceBox | None, ...]]]:
        """The numbers of a part's frames in the source, and the boxes in them, by track.

        Raises:
            MediaError: if they are not there, or were damaged.
        """
        found = self.read_needed(_boxes_name(part))
        try:
            tracks = [[_box(edges) for edges in track] for track in found["tracks"]]
            if all(type(number) is int for number in found["numbers"]):
                return found["numbers"], list(zip(*tracks, strict=True))
        except (TypeError, ValueError):
            pass
        raise self._damaged(_boxes_name(part))

    def exemplars_in(self, part: int) -> list[list[Exemplar]]:
        """The exemplars from the frames of one part, by track.

        Raises:
            MediaError: if they are not there, or were damaged.
        """
        with self._arrays(_exemplars_name(part)) as found:
            return [
                [
                    Exemplar(number, found[f"detailed_{track}_{at}"], found[f"small_{track}_{at}"])
                    for at, number in enumerate(found[f"numbers_{track}"].tolist())
                ]
                for track in range(int(found["num_tracks"]))
            ]

    def write_stretch(self, part: int, stretch: Stretch, lends_detail: bool) -> None:
        """Writes what a part needs; its boxes come last, and say that all is there.

        Args:
            part: its number, from 0.
            stretch: the tracked frames of the part.
            lends_detail: whether their exemplars are written.

        Raises:
            MediaError: if the folder cannot be written.
        """
        if lends_detail:
            arrays = {"num_tracks": np.array(len(stretch.exemplars))}
            for track, exemplars in enumerate(stretch.exemplars):
                arrays[f"numbers_{track}"] = np.array([exemplar.number for exemplar in exemplars], np.int64)
                for at, exemplar in enumerate(exemplars):
                    arrays |= {f"detailed_{track}_{at}": exemplar.detailed, f"small_{track}_{at}": exemplar.small}
            self._put(_exemplars_name(part), lambda path: _save_arrays(path, arrays))
        tracks = zip(*stretch.boxes, strict=True)
        boxes = [[None if box is None else astuple(box) for box in track] for track in tracks]
        self.write(_boxes_name(part), {"numbers": stretch.numbers, "tracks": boxes})

    def drop(self) -> None:
        """Removes all of them."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def _arrays(self, name: str) -> Iterator[Any]:
        """Opens a file of arrays for the block; what goes wrong with them there is one error."""
        try:
            with np.load(self.folder / name, allow_pickle=False) as found:
                yield found
        except FileNotFoundError as error:
            raise MediaError(self.folder / name, "is gone; start the batch again") from error
        except (OSError, EOFError, ValueError, TypeError, KeyError, AttributeError, BadZipFile) as error:
            raise self._damaged(name) from error

    def _damaged(self, name: str) -> MediaError:
        """Removes all steps; returns the error that says so."""
        self.drop()
        return MediaError(self.folder / name, "was damaged; the steps of this clip are removed and made again")

    def _put(self, name: str, write: Callable[[Path], object]) -> None:
        """Writes a file that appears whole or not at all, even if several processes write it."""
        with accessing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            part = self.folder / f".{secrets.token_hex(8)}.{name}"
            write(part)
            part.replace(self.folder / name)


def _box(edges: Any) -> FaceBox | None:
    if edges is None:
        return None
    if not all(isinstance(edge, int | float) for edge in edges):
        raise TypeError("no numbers")
    return FaceBox(*edges)


def _boxes_name(part: int) -> str:
    return f"boxes-{part:06d}.json"


def _exemplars_name(part: int) -> str:
    return f"exemplars-{part:06d}.npz"


def _save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with path.open("wb") as file:  # to a path without its suffix, np.savez would add one
        np.savez(file, allow_pickle=False, **arrays)


def part_name(part: int) -> str:
    """The name of the file that says that a part is painted."""
    return f"part-{part:06d}.json"
