"""Which face to follow: the choice of one person and the way of that person through the frames of a video.

Everybody in the picture is kept as a small record (where, how fast, looking how), so that the followed person can be
told from the others when they cross, hide, leave and come back.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np

from ..boxes import Detection, FaceBox
from .search import is_cut
from .smoothing import MAX_GAP_FRAMES, SAME_FACE_IOU

# The look of a face is so many cells a side, from hair to collar. Measured in levels: one woman who turns her head and
# talks stays within 13 of her own slow mean; nine in ten pairs of people differ by 19 and more, even without colours.
LOOK_CELLS, SAMPLES_PER_CELL, ALIKE_LEVELS, HALF_HIDDEN_LEVELS = 6, 4, 20, 60
# A look follows light and pose at this rate a frame, and a change of light of up to this part is no difference at all.
LOOK_RATE, LIGHT_PART = 0.1, 0.15
# So many levels of difference outweigh a whole overlap, where two faces compete for a place.
LEVELS_PER_OVERLAP = 60
# A hidden face is expected on its way for most of a second; it comes back at most this many widths away per frame.
COAST_FRAMES, VELOCITY_RATE, WIDTHS_PER_FRAME = 20, 0.2, 1.0
# Seen less often, a face may be a false detection; and the most people that are remembered while they are away.
CONFIRMED_FRAMES, MAX_AWAY = 5, 16

FaceChoice = str | int | tuple[float, float]


def track_face(
    frames: Iterable[tuple[Any, np.ndarray, Sequence[Detection]]],
    choice: FaceChoice = "largest",
    patience: int = MAX_GAP_FRAMES,
) -> Iterator[tuple[Any, FaceBox | None]]:
    """Each item with the followed person's box, in pixels of the thumbnail, or None where that person is not seen.

    The person is chosen in the first frame that allows it, and anew after each cut. In between nobody else is
    followed: neither who enters larger, nor who crosses, nor who stays when the followed person leaves. Who comes back
    is known by place or look. For each frame taken one is given; of those gone, a few numbers a person are kept.

    Args:
        frames: triples of an item, which is passed through; its thumbnail, uint8 RGB (H, W, 3), all of one size; and
            the faces in it, in pixels of the thumbnail.
        choice: `"largest"`; a number, which counts the faces from left to right from 0; or a point (x, y) in the
            thumbnail: the face around it, or else the nearest head around it. Where no face is meant, none is chosen.
        patience: for how many frames a person seen in less than CONFIRMED_FRAMES may be missing; then it was a false
            detection, and the choice is made anew.

    Raises:
        ValueError: if `choice` is none of these, or `patience` is negative.
    """
    _check_choice(choice)
    if patience < 0:
        raise ValueError(f"`patience` must be 0 or more, got {patience}")
    return _follow(frames, choice, patience)


def _follow(frames: Iterable, choice: FaceChoice, patience: int) -> Iterator[tuple[Any, FaceBox | None]]:
    scene, last = _Scene(choice, patience), None
    for item, thumbnail, detections in frames:
        if last is not None and is_cut(last, thumbnail):
            scene = _Scene(choice, patience)
        last = thumbnail
        yield item, scene.see(_faces(thumbnail, [found.box for found in detections]))


def _check_choice(choice: FaceChoice) -> None:
    is_index = isinstance(choice, Integral) and not isinstance(choice, bool) and choice >= 0
    is_point = isinstance(choice, tuple | list) and len(choice) == 2
    is_point = is_point and all(isinstance(part, Real) and math.isfinite(part) for part in choice)
    if not (is_index or is_point or choice == "largest"):
        raise ValueError(f"`choice` must be 'largest', a face number from 0, or a point (x, y), got {choice!r}")


def choose_face(boxes: Sequence[FaceBox], choice: FaceChoice = "largest") -> int | None:
    """The index of the box that `choice` (see [`track_face`]) names, or None if there is none."""
    indices = range(len(boxes))
    if choice == "largest":
        return max(indices, key=lambda index: boxes[index].area, default=None)
    if isinstance(choice, Integral):
        left_to_right = sorted(indices, key=lambda index: _centre(boxes[index])[0])
        return left_to_right[choice] if choice < len(boxes) else None
    meant = [index for index in indices if _holds(_around(boxes[index]), choice)]
    return min(meant, key=lambda index: _distance_from(choice, boxes[index]), default=None)


def _holds(box: FaceBox, point: tuple[float, float]) -> bool:
    return box.x1 <= point[0] < box.x2 and box.y1 <= point[1] < box.y2


def _distance_from(point: tuple[float, float], box: FaceBox) -> tuple[bool, float]:
    """Sorts boxes around the point before all others, then by the distance of their centres."""
    return not _holds(box, point), math.dist(point, _centre(box))


def _centre(box: FaceBox) -> tuple[float, float]:
    return (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2


class _Face(NamedTuple):
    box: FaceBox
    look: np.ndarray
    is_clear: bool  # no other head in its look


@dataclass(eq=False)
class _Person:
    """Where somebody was last seen, how fast that goes, the look, for how many frames seen in all and missing now."""

    box: FaceBox
    look: np.ndarray
    clear_looks: int
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))
    seen: int = 1
    missing: int = 0
    known_other: bool = False

    def expected_box(self) -> FaceBox:
        dx, dy = self.velocity * min(self.missing, COAST_FRAMES)
        return self.box.padded(-dy, dy, -dx, dx)

    def reaches(self, box: FaceBox) -> bool:
        return math.dist(_centre(self.box), _centre(box)) <= WIDTHS_PER_FRAME * self.missing * self.box.width

    def meet(self, face: _Face) -> None:
        step = np.subtract(_centre(face.box), _centre(self.box)) / self.missing
        self.velocity += max(VELOCITY_RATE, 1 / self.seen) * (step - self.velocity)
        if face.is_clear:
            self.clear_looks += 1
            self.look = self.look + max(LOOK_RATE, 1 / self.clear_looks) * (face.look - self.look)
        self.box, self.missing = face.box, 0
        self.seen += 1


class _Scene:
    """The people between two cuts, and which of them is followed."""

    def __init__(self, choice: FaceChoice, patience: int):
        self.choice, self.patience = choice, patience
        self.people: list[_Person] = []
        self.followed: _Person | None = None

    def see(self, faces: list[_Face]) -> FaceBox | None:
        """Takes in the faces of the next frame; returns the box of the followed person if seen."""
        self._match(faces)
        if self.followed is None or self._was_false():
            self._choose()
        elif self.followed.missing:
            self._recognise()
        self._note_others()
        self._forget()
        return None if self.followed is None or self.followed.missing else self.followed.box

    def _match(self, faces: list[_Face]) -> None:
        """Gives the faces to people by place and look, best score first; who is left over is new."""
        for person in self.people:
            person.missing += 1
        pairs = [(_score(person, face), person, face) for person in self.people for face in faces]
        pairs = sorted((pair for pair in pairs if pair[0] is not None), key=lambda pair: -pair[0])
        known: set[int] = set()
        for _, person, face in pairs:
            if person.missing and id(face) not in known:
                person.meet(face)
                known.add(id(face))
        self.people += [_Person(face.box, face.look, int(face.is_clear)) for face in faces if id(face) not in known]

    def _was_false(self) -> bool:
        return self.followed.seen < CONFIRMED_FRAMES and self.followed.missing > self.patience

    def _choose(self) -> None:
        visible = [person for person in self.people if not person.missing]
        index = choose_face([person.box for person in visible], self.choice)
        self.followed = None if index is None else visible[index]
        for person in self.people:
            person.known_other = False

    def _recognise(self) -> None:
        """Finds the followed person in somebody who turned up meanwhile: at first sight or when the look clears up."""
        lost = self.followed
        unknown = [p for p in self.people if not (p.missing or p.known_other) and lost.reaches(p.box)]
        found = min(unknown, key=lambda person: _difference(lost.look, person.look), default=None)
        if found is not None and _difference(lost.look, found.look) < ALIKE_LEVELS:
            lost.box, lost.velocity, lost.missing = found.box, found.velocity, 0
            lost.seen += found.seen
            self.people.remove(found)

    def _note_others(self) -> None:
        """Who is seen beside the followed person is somebody else; two boxes in one place may be the same face."""
        if self.followed is None or self.followed.missing:
            return
        for person in self.people:
            if not person.missing and person.box.iou(self.followed.box) < SAME_FACE_IOU:
                person.known_other = True

    def _forget(self) -> None:
        """Bounds the memory: false detections go soon, and of the people who are away the longest gone."""
        kept = [p for p in self.people if p.seen >= CONFIRMED_FRAMES or p.missing <= self.patience]
        away = sorted((p for p in kept if p.missing), key=lambda person: person.missing)
        gone = {id(person) for person in away[MAX_AWAY:]}
        self.people = [person for person in kept if id(person) not in gone]
        if self.followed is not None and self.followed not in self.people:
            self.people.append(self.followed)


def _score(person: _Person, face: _Face) -> float | None:
    """How well the face fits the person by place and look; None if it cannot be the same."""
    overlap, difference = person.expected_box().iou(face.box), _difference(person.look, face.look)
    alike = difference < ALIKE_LEVELS and person.reaches(face.box)
    if not alike and (overlap < SAME_FACE_IOU or difference > _most_difference_in_place(person.missing)):
        return None
    return overlap - difference / LEVELS_PER_OVERLAP


def _most_difference_in_place(missing: int) -> float:
    """The next frame shows the same person in the same place, whatever light or turn do; soon after, half of the face
    may still be hidden; later, somebody else may have come there."""
    if missing == 1:
        return math.inf
    return HALF_HIDDEN_LEVELS if missing <= COAST_FRAMES else ALIKE_LEVELS


def _faces(thumbnail: np.ndarray, boxes: list[FaceBox]) -> list[_Face]:
    is_clear = [not any(_around(box).iou(other) > 0 for other in boxes if other is not box) for box in boxes]
    return [_Face(box, _look(thumbnail, box), clear) for box, clear in zip(boxes, is_clear, strict=True)]


def _around(box: FaceBox) -> FaceBox:
    """Head and collar."""
    return box.padded(0.35 * box.height, 0.35 * box.height, 0.25 * box.width, 0.25 * box.width)


def _look(thumbnail: np.ndarray, box: FaceBox) -> np.ndarray:
    """The colours (LOOK_CELLS, LOOK_CELLS, 3), levels of 255, of head and collar, sampled from a thumbnail."""
    around = _around(box)
    count = LOOK_CELLS * SAMPLES_PER_CELL
    columns = np.linspace(around.x1, around.x2, count).clip(0, thumbnail.shape[1] - 1).astype(int)
    rows = np.linspace(around.y1, around.y2, count).clip(0, thumbnail.shape[0] - 1).astype(int)
    samples = thumbnail[rows[:, None], columns].reshape(*(LOOK_CELLS, SAMPLES_PER_CELL) * 2, 3)
    return samples.mean(axis=(1, 3), dtype=np.float32)


def _middle_weights() -> np.ndarray:
    """Weights (LOOK_CELLS, LOOK_CELLS, 1) of sum 1 that fall off to the corners, where the background shows."""
    away = (np.arange(LOOK_CELLS) + 0.5) / LOOK_CELLS * 2 - 1
    weights = np.exp(-(away[:, None, None] ** 2 + away[None, :, None] ** 2))
    return (weights / weights.sum()).astype(np.float32)


MIDDLE_WEIGHTS = _middle_weights()


def _difference(look: np.ndarray, other: np.ndarray) -> float:
    """How much two looks differ, in levels of 255, after a small change of light is taken out."""
    light = (MIDDLE_WEIGHTS * look).sum() / max(1.0, (MIDDLE_WEIGHTS * other).sum())
    light = np.clip(light, 1 - LIGHT_PART, 1 + LIGHT_PART)
    return float((MIDDLE_WEIGHTS * np.abs(look - light * other)).sum() / 3)
