"""Face tracking: chooses one person and follows that person through the frames of a video.

Each person in the video has a small record (place, speed, look). It tells the followed person from the others when
people cross, hide, leave and come back.
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

# A look is a grid of LOOK_CELLS x LOOK_CELLS cells from hair to collar. Measured in levels of 255: a woman who turns
# her head and talks stays within 13 of her slow mean; nine in ten pairs of people differ by 19 or more, even in gray.
LOOK_CELLS, SAMPLES_PER_CELL, ALIKE_LEVELS, HALF_HIDDEN_LEVELS = 6, 4, 20, 60
# A look adapts to light and pose at LOOK_RATE per frame; a change of light of up to LIGHT_PART is no difference.
LOOK_RATE, LIGHT_PART = 0.1, 0.15
# Where two faces compete for a place, this many levels of difference outweigh a full overlap.
LEVELS_PER_OVERLAP = 60
# A hidden face is expected on its course for COAST_FRAMES; it comes back at most this many widths away per frame.
COAST_FRAMES, VELOCITY_RATE, WIDTHS_PER_FRAME = 20, 0.2, 1.0
# A face seen in fewer frames may be a false detection; at most MAX_AWAY people are remembered while they are away.
CONFIRMED_FRAMES, MAX_AWAY = 5, 16

Point = tuple[float, float]
FaceChoice = str | int | Point


def track_face(
    frames: Iterable[tuple[Any, np.ndarray, Sequence[Detection]]],
    choice: FaceChoice = "largest",
    patience: int = MAX_GAP_FRAMES,
) -> Iterator[tuple[Any, FaceBox | None]]:
    """Yields each item with the followed person's box in pixels of the thumbnail, or None if the person is not seen.

    The person is chosen in the first possible frame, and again after each cut. In between nobody else is followed, be
    it a larger face that enters, one that crosses, or one that stays when the followed person leaves. A person who
    comes back is recognized by place or look. Each frame taken yields one; of past frames only a few numbers per
    person are kept.

    Args:
        frames: triples of an item, which is passed through; its thumbnail, uint8 RGB (H, W, 3), all of one size; and
            its faces, in pixels of the thumbnail.
        choice: `"largest"`; a number, which counts the faces from left to right from 0; or a point (x, y) in the
            thumbnail: the face around it, else the nearest head around it. If no face matches, none is chosen.
        patience: for how many frames a person seen in fewer than CONFIRMED_FRAMES may be missing; after that it was a
            false detection, and the choice is repeated.

    Raises:
        ValueError: `choice` is none of these, or `patience` is negative.
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
    if not (_is_index(choice) or _is_point(choice) or choice == "largest"):
        raise ValueError(f"`choice` must be 'largest', a face number from 0, or a point (x, y), got {choice!r}")


def _is_index(choice: Any) -> bool:
    return isinstance(choice, Integral) and not isinstance(choice, bool) and int(choice) >= 0


def _is_point(choice: Any) -> bool:
    is_pair = isinstance(choice, tuple | list) and len(choice) == 2
    return is_pair and all(isinstance(part, Real) and math.isfinite(part) for part in choice)


def choose_face(boxes: Sequence[FaceBox], choice: FaceChoice = "largest") -> int | None:
    """Returns the index of the box that `choice` (see [`track_face`]) means, or None if there is none."""
    indices = range(len(boxes))
    if isinstance(choice, str):
        return max(indices, key=lambda index: boxes[index].area, default=None)
    if isinstance(choice, tuple | list):
        heads = [index for index in indices if _contains(_head(boxes[index]), choice)]
        return min(heads, key=lambda index: _distance_from(choice, boxes[index]), default=None)
    left_to_right = sorted(indices, key=lambda index: _center(boxes[index])[0])
    return left_to_right[choice] if choice < len(boxes) else None


def _contains(box: FaceBox, point: Point) -> bool:
    return box.x1 <= point[0] < box.x2 and box.y1 <= point[1] < box.y2


def _distance_from(point: Point, box: FaceBox) -> tuple[bool, float]:
    """Returns a sort key: boxes around the point come first, then the distance of the center counts."""
    return not _contains(box, point), math.dist(point, _center(box))


def _center(box: FaceBox) -> Point:
    return (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2


class _Face(NamedTuple):
    box: FaceBox
    look: np.ndarray
    is_clear: bool  # no other head in its look


@dataclass(eq=False)
class _Person:
    """A person's last box, speed in pixels per frame, look, and the number of frames seen in all and missing now."""

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
        return math.dist(_center(self.box), _center(box)) <= WIDTHS_PER_FRAME * self.missing * self.box.width

    def meet(self, face: _Face) -> None:
        step = np.subtract(_center(face.box), _center(self.box)) / self.missing
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
        """Updates the people with the faces of the next frame; returns the followed person's box if seen."""
        self._match(faces)
        if self.followed is None or self._was_false(self.followed):
            self._choose()
        elif self.followed.missing:
            self._recognize(self.followed)
        self._note_others()
        self._forget()
        return None if self.followed is None or self.followed.missing else self.followed.box

    def _match(self, faces: list[_Face]) -> None:
        """Assigns the faces to people by place and look, best score first; the remaining faces are new people."""
        for person in self.people:
            person.missing += 1
        scored = ((_score(person, face), person, face) for person in self.people for face in faces)
        pairs = [(score, person, face) for score, person, face in scored if score is not None]
        pairs.sort(key=lambda pair: -pair[0])
        known: set[int] = set()
        for _, person, face in pairs:
            if person.missing and id(face) not in known:
                person.meet(face)
                known.add(id(face))
        self.people += [_Person(face.box, face.look, int(face.is_clear)) for face in faces if id(face) not in known]

    def _was_false(self, person: _Person) -> bool:
        return person.seen < CONFIRMED_FRAMES and person.missing > self.patience

    def _choose(self) -> None:
        visible = [person for person in self.people if not person.missing]
        index = choose_face([person.box for person in visible], self.choice)
        self.followed = None if index is None else visible[index]
        for person in self.people:
            person.known_other = False

    def _recognize(self, lost: _Person) -> None:
        """Merges the followed person with a new one of the same look: at first sight, or when the look is clear."""
        unknown = [p for p in self.people if not (p.missing or p.known_other) and lost.reaches(p.box)]
        found = min(unknown, key=lambda person: _difference(lost.look, person.look), default=None)
        if found is not None and _difference(lost.look, found.look) < ALIKE_LEVELS:
            lost.box, lost.velocity, lost.missing = found.box, found.velocity, 0
            lost.seen += found.seen
            self.people.remove(found)

    def _note_others(self) -> None:
        """Marks people seen beside the followed one as others; two boxes in one place may be the same face."""
        if self.followed is None or self.followed.missing:
            return
        for person in self.people:
            if not person.missing and person.box.iou(self.followed.box) < SAME_FACE_IOU:
                person.known_other = True

    def _forget(self) -> None:
        """Bounds the memory: drops false detections, and those who have been away longest."""
        kept = [p for p in self.people if p.seen >= CONFIRMED_FRAMES or p.missing <= self.patience]
        away = sorted((p for p in kept if p.missing), key=lambda person: person.missing)
        gone = {id(person) for person in away[MAX_AWAY:]}
        self.people = [person for person in kept if id(person) not in gone]
        if self.followed is not None and self.followed not in self.people:
            self.people.append(self.followed)


def _score(person: _Person, face: _Face) -> float | None:
    """Returns how well the face fits the person by place and look; None if they cannot be the same."""
    overlap, difference = person.expected_box().iou(face.box), _difference(person.look, face.look)
    alike = difference < ALIKE_LEVELS and person.reaches(face.box)
    if not alike and (overlap < SAME_FACE_IOU or difference > _max_difference_in_place(person.missing)):
        return None
    return overlap - difference / LEVELS_PER_OVERLAP


def _max_difference_in_place(missing: int) -> float:
    """Returns how much the look of a face in a person's place may differ from the person's.

    The next frame shows the same person, whatever the light and pose. Soon after, half of the face may still be
    hidden. Later, somebody else may be there.
    """
    if missing == 1:
        return math.inf
    return HALF_HIDDEN_LEVELS if missing <= COAST_FRAMES else ALIKE_LEVELS


def _faces(thumbnail: np.ndarray, boxes: list[FaceBox]) -> list[_Face]:
    is_clear = [not any(_head(box).iou(other) > 0 for other in boxes if other is not box) for box in boxes]
    return [_Face(box, _look(thumbnail, box), clear) for box, clear in zip(boxes, is_clear, strict=True)]


def _head(box: FaceBox) -> FaceBox:
    """Returns the box of head and collar around a face."""
    return box.padded(0.35 * box.height, 0.35 * box.height, 0.25 * box.width, 0.25 * box.width)


def _look(thumbnail: np.ndarray, box: FaceBox) -> np.ndarray:
    """Returns the colors (LOOK_CELLS, LOOK_CELLS, 3) of head and collar, in levels of 255."""
    head = _head(box)
    count = LOOK_CELLS * SAMPLES_PER_CELL
    columns = np.linspace(head.x1, head.x2, count).clip(0, thumbnail.shape[1] - 1).astype(int)
    rows = np.linspace(head.y1, head.y2, count).clip(0, thumbnail.shape[0] - 1).astype(int)
    samples = thumbnail[rows[:, None], columns].reshape(*(LOOK_CELLS, SAMPLES_PER_CELL) * 2, 3)
    return samples.mean(axis=(1, 3), dtype=np.float32)


def _middle_weights() -> np.ndarray:
    """Returns weights (LOOK_CELLS, LOOK_CELLS, 1) with sum 1 that decrease to the corners, where background shows."""
    away = (np.arange(LOOK_CELLS) + 0.5) / LOOK_CELLS * 2 - 1
    weights = np.exp(-(away[:, None, None] ** 2 + away[None, :, None] ** 2))
    return (weights / weights.sum()).astype(np.float32)


MIDDLE_WEIGHTS = _middle_weights()


def _difference(look: np.ndarray, other: np.ndarray) -> float:
    """Returns how much two looks differ, in levels of 255, after compensation for a small change of light."""
    light = (MIDDLE_WEIGHTS * look).sum() / max(1.0, (MIDDLE_WEIGHTS * other).sum())
    light = np.clip(light, 1 - LIGHT_PART, 1 + LIGHT_PART)
    return float((MIDDLE_WEIGHTS * np.abs(look - light * other)).sum() / 3)
