from dataclasses import astuple, dataclass

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from diff2lip_diffusers.boxes import Detection, FaceBox
from diff2lip_diffusers.faces.detectors import load_face_detector
from diff2lip_diffusers.faces.search import find_faces
from diff2lip_diffusers.faces.smoothing import MAX_GAP_FRAMES
from diff2lip_diffusers.faces.tracks import CONFIRMED_FRAMES, choose_face, track_face

WIDTH, HEIGHT = 320, 180
NOISE = np.random.default_rng(0).normal(0, 3, (HEIGHT, WIDTH, 3)).astype(np.float32)
FACE, ELSEWHERE = FaceBox(20, 30, 60, 90), FaceBox(120, 30, 160, 90)


@dataclass(frozen=True)
class Drawn:
    """Somebody to draw: colors of skin, hair and clothes."""

    skin: tuple
    hair: tuple
    clothes: tuple


ANNA = Drawn((224, 172, 140), (60, 35, 20), (180, 40, 40))
BEN = Drawn((205, 150, 120), (200, 170, 90), (40, 70, 150))
CLEO = Drawn((120, 80, 60), (25, 20, 20), (220, 220, 210))


def ellipse(image, x, y, rx, ry, color):
    top, left = max(0, int(y - ry)), max(0, int(x - rx))
    part = image[top : max(0, int(y + ry) + 2), left : max(0, int(x + rx) + 2)]
    rows, columns = np.ogrid[: part.shape[0], : part.shape[1]]
    part[((columns + left - x) / rx) ** 2 + ((rows + top - y) / ry) ** 2 <= 1] = color


def draw(image, person: Drawn, x, y, size, mouth=0.1, turn=0.0):
    """Draws a head around (x, y) whose face is `size` wide; `turn` moves the features sideways, in parts of `size`."""
    ellipse(image, x, y + 1.45 * size, 0.95 * size, 0.75 * size, person.clothes)
    ellipse(image, x, y - 0.15 * size, 0.62 * size, 0.72 * size, person.hair)
    ellipse(image, x, y, 0.48 * size, 0.62 * size, person.skin)
    for side in (-0.2, 0.2):
        ellipse(image, x + (side + turn) * size, y - 0.1 * size, 0.07 * size, 0.04 * size, (20, 20, 30))
    ellipse(image, x + turn * size, y + 0.3 * size, 0.15 * size, (0.03 + mouth) * size, (150, 50, 60))


def box_around(x, y, size) -> FaceBox:
    return FaceBox(x - 0.5 * size, y - 0.62 * size, x + 0.5 * size, y + 0.62 * size)


class Film:
    """Images of people with the detections of an honest, noisy detector: it misses who is half hidden."""

    def __init__(self, seed=0, background=(150, 160, 165)):
        self.rng, self.background = np.random.default_rng(seed), background
        self.frames, self.names = [], []

    def shoot(self, *people, extra=(), brightness=1.0, background=None):
        """One frame of (name, person, x, y, size), from back to front."""
        image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
        image[:] = background or self.background
        image[:, ::40] = np.array(background or self.background) // 2
        talking = self.rng.uniform(0, 0.1)
        for _, person, x, y, size in people:
            draw(image, person, x, y, size, mouth=talking, turn=self.rng.uniform(-0.05, 0.05))
        noise = np.roll(NOISE, self.rng.integers(NOISE.size))
        image = (image * np.float32(brightness) + noise).clip(0, 255).astype(np.uint8)
        detections = {}
        for index, (name, _, x, y, size) in enumerate(people):
            box, frame = box_around(x, y, size), FaceBox(0, 0, WIDTH, HEIGHT)
            hidden = any(box.iou(box_around(*other[2:])) > 0.35 for other in people[index + 1 :])
            if not hidden and box.clipped(WIDTH, HEIGHT).area > 0.7 * box.area and box.iou(frame) > 0:
                detections[name] = Detection(self.noisy(box), self.rng.uniform(0.95, 1))
        shuffled = [*detections.values(), *extra]
        self.rng.shuffle(shuffled)
        self.frames.append((len(self.frames), image, shuffled))
        self.names.append({id(detection.box): name for name, detection in detections.items()})

    def noisy(self, box: FaceBox) -> FaceBox:
        dx, dy = self.rng.normal(0, 0.01, 2) * box.width
        dw, dh = self.rng.normal(0, 0.025, 2) * box.width / 2
        return FaceBox(box.x1 + dx - dw, box.y1 + dy - dh, box.x2 + dx + dw, box.y2 + dy + dh)

    def followed(self, **options):
        """Whose box each frame gets: a name, "?" for a detection of nobody, or None."""
        result = list(track_face(iter(self.frames), **options))
        assert [item for item, _ in result] == list(range(len(self.frames)))
        return [box and names.get(id(box), "?") for (_, box), names in zip(result, self.names, strict=True)]

    def seen(self, name):
        """What a perfect track of that person gives."""
        return [name if name in names.values() else None for names in self.names]


# Choice


def test_the_largest_face_is_chosen():
    small = FaceBox(0, 0, 10, 10)
    assert choose_face([small, FACE]) == 1
    assert choose_face([]) is None


def test_faces_are_counted_from_left_to_right():
    boxes = [ELSEWHERE, FACE, FaceBox(200, 0, 300, 150)]
    assert [choose_face(boxes, index) for index in range(4)] == [1, 0, 2, None]


def test_a_point_means_the_face_around_it_or_else_the_head():
    around = FaceBox(0, 0, 200, 170)
    boxes = [around, FACE, ELSEWHERE]
    assert choose_face(boxes, (41, 61)) == 1  # inside two: the one whose center is nearer
    assert choose_face(boxes, (199, 169)) == 0  # inside of the large one, though a small one's center is nearer
    assert choose_face(boxes[1:], (FACE.x2 + 5, FACE.y1 - 10)) == 0  # hair
    assert choose_face(boxes[1:], (300, 50)) is None
    assert choose_face(boxes[1:], (0, 0)) is None
    assert choose_face([], (0, 0)) is None


@pytest.mark.parametrize("choice", ["biggest", -1, 1.5, True, (1,), (1, 2, 3), (1, "2"), (1, float("nan")), None])
def test_other_choices_are_refused_at_once(choice):
    with pytest.raises(ValueError, match="`choice` must be 'largest', a face number from 0, or a point"):
        track_face([], choice)


def test_negative_patience_is_refused_at_once():
    with pytest.raises(ValueError, match="`patience` must be 0 or more, got -1"):
        track_face([], patience=-1)


@pytest.mark.parametrize("choice, name", [(0, "anna"), (1, "ben"), ((70, 90), "anna"), ((215, 70), "ben")])
def test_index_and_point_choose_among_two(choice, name):
    film = Film()
    for index in range(20):
        film.shoot(("ben", BEN, 220 - index, 90, 50), ("anna", ANNA, 80 + index, 90, 40))
    assert film.followed(choice=choice) == film.seen(name)
    assert film.followed() == film.seen("ben")


def test_a_number_waits_until_there_are_enough_faces():
    film = Film()
    for index in range(20):
        film.shoot(("anna", ANNA, 80, 90, 40), *[("ben", BEN, 220, 90, 50)] * (index >= 8))
    assert film.followed(choice=1) == film.seen("ben")
    assert film.followed(choice=2) == [None] * 20


# The same person


def crossing(first, second, size=48, step=6):
    """`first` passes behind `second`, from left to right."""
    film = Film()
    for way in range(0, WIDTH - 100, step):
        film.shoot(("first", first, 50 + way, 88, size), ("second", second, WIDTH - 50 - way, 92, size))
    assert film.seen("second").count(None) == 0
    assert film.seen("first").count(None) >= 2
    return film


@pytest.mark.parametrize("people", [(ANNA, BEN), (BEN, ANNA), (ANNA, CLEO), (CLEO, BEN)])
@pytest.mark.parametrize("step", [2, 5, 9])
@pytest.mark.parametrize("choice, name", [(0, "first"), (1, "second")])
def test_two_who_cross_keep_apart(people, step, choice, name):
    film = crossing(*people, step=step)
    assert film.followed(choice=choice) == film.seen(name)


def test_even_twins_who_cross_keep_apart_by_their_speed():
    film = crossing(ANNA, ANNA)
    assert film.followed(choice=0) == film.seen("first")
    assert film.followed(choice=1) == film.seen("second")


def test_one_who_hides_behind_another_and_turns_back_is_the_same():
    film = Film()
    for index in range(60):
        x = 60 + 5 * min(index, 60 - index)
        film.shoot(("anna", ANNA, x, 90, 46), ("ben", BEN, 190, 94, 50))
    assert None in film.seen("anna")
    assert film.followed(choice=0) == film.seen("anna")
    assert film.followed(choice=1) == film.seen("ben")


def test_who_enters_larger_is_not_followed():
    film = Film()
    for index in range(50):
        film.shoot(("anna", ANNA, 80 + index, 90, 40), ("cleo", CLEO, max(190, 420 - 8 * index), 90, 90))
    assert film.seen("cleo")[-1] == "cleo"
    assert film.followed() == film.seen("anna")


@pytest.mark.parametrize("away", [8, 60, 200])
def test_who_leaves_is_waited_for_and_known_on_the_other_side(away):
    film = Film()
    for index in range(120 + away):
        back = index - 60 - away
        x = 100 - 4 * index if index < 60 else (-100 if back < 0 else 370 - 3 * back)
        film.shoot(("ben", BEN, 160, 95, 36), ("anna", ANNA, x, 90, 50))
    seen = film.seen("anna")
    assert None in seen[:60] and seen[-1] == "anna" and film.seen("ben")[40] == "ben"
    assert film.followed() == seen


def test_who_turns_up_while_the_followed_is_away_is_somebody_else():
    film = Film()
    for index in range(200):
        people = [("anna", ANNA, min(100, 100 - 5 * (index - 20)), 90, 50)]
        if index >= 100:
            people = [("anna", ANNA, min(100, 5 * (index - 140) - 30), 90, 50)]
        people += [("cleo", CLEO, max(220, 370 - 5 * (index - 50), 220 + 5 * (index - 110)), 90, 60)]
        people += [("ben", BEN, min(100, 5 * (index - 60) - 30, 100 - 5 * (index - 100)), 90, 50)]  # on the very place
        film.shoot(*people)
    assert [film.seen(name)[95] for name in ("anna", "ben", "cleo")] == [None, "ben", "cleo"]
    assert film.seen("anna")[-1] == "anna"
    assert film.followed() == film.seen("anna")


def test_a_faceless_middle_third():
    film = Film()
    for index in range(150):
        film.shoot(*[("anna", ANNA, 100 + index / 3, 90, 50)] * (not 50 <= index < 100))
    assert film.followed() == film.seen("anna")


def test_a_look_follows_slow_changes_of_light_and_survives_a_turn_of_the_head():
    film = Film()
    for index in range(200):
        light = 1 - 0.5 * min(1, index / 120)
        film.shoot(*[("anna", ANNA, 100, 90, 50)] * (not 130 <= index < 160), brightness=light)
    assert film.followed() == film.seen("anna")


def test_who_comes_back_unlike_is_known_once_the_look_clears_up():
    film, odd = Film(), Drawn((140, 100, 80), (60, 35, 20), (90, 20, 20))
    for index in range(150):
        person = odd if 60 <= index < 80 else ANNA  # in deep shadow
        film.shoot(*[("anna", person, 100 if index < 40 else 200, 90, 50)] * (not 40 <= index < 60))
    result = film.followed()
    assert result[:60] == film.seen("anna")[:60] and result[60:75] == [None] * 15
    assert result[110:] == ["anna"] * 40


# False detections


def test_a_false_detection_in_the_first_frame_does_not_lose_the_video():
    film, wall = Film(), Detection(FaceBox(200, 10, 300, 130), 0.96)
    for index in range(40):
        film.shoot(("anna", ANNA, 80, 90, 50), extra=[wall] if index < CONFIRMED_FRAMES - 1 else [])
    result = film.followed()
    lost = CONFIRMED_FRAMES - 1 + MAX_GAP_FRAMES
    assert result == ["?"] * 4 + [None] * MAX_GAP_FRAMES + ["anna"] * (40 - lost)


def test_a_face_that_is_sure_is_not_given_up():
    film, wall = Film(), Detection(FaceBox(200, 10, 300, 130), 0.96)
    for index in range(40):
        film.shoot(("anna", ANNA, 80, 90, 50), extra=[wall] if index < CONFIRMED_FRAMES else [])
    assert film.followed() == ["?"] * CONFIRMED_FRAMES + [None] * (40 - CONFIRMED_FRAMES)


def test_false_and_double_detections_do_not_draw_the_track_away():
    film, rng = Film(), np.random.default_rng(1)
    for index in range(200):
        x = 80 + index / 2
        wall = Detection(FaceBox(*(rng.uniform(0, 200, 2).repeat(2).reshape(2, 2).T.ravel() + [0, 0, 60, 80])), 0.96)
        double = Detection(film.noisy(box_around(x + 8, 98, 44)), 0.96)
        extra = [wall] * (index % 3 == 0) + [double] * (rng.random() < 0.3)
        present = rng.random() > 0.1
        film.shoot(*[("anna", ANNA, x, 90, 60)] * present, extra=extra if index > 9 else [])
    boxes = [box for _, box in track_face(film.frames)]
    truth = [box_around(80 + index / 2, 90, 60) for index in range(200)]
    assert sum(box is not None for box in boxes) > 170
    assert all(box.iou(true) > 0.4 for box, true in zip(boxes, truth, strict=True) if box is not None)


def drawn_faces(faces, level=90) -> np.ndarray:
    """A gray image in which each box has its own color."""
    pixels = np.full((240, 440, 3), level, np.uint8)
    for box, color in faces:
        x1, y1, x2, y2 = (max(0, int(edge)) for edge in astuple(box))
        pixels[max(0, y1 - 20) : y2 + 20, max(0, x1 - 10) : x2 + 10] = color
    return pixels


MINE, OTHERS = (FACE, (200, 150, 120)), (ELSEWHERE, (60, 40, 90))


def track_of(faces, levels=None):
    """Boxes of the track through images with these (box, color) pairs, all detected."""
    levels = levels or [90] * len(faces)
    frames = [
        (index, drawn_faces(shown, level), [Detection(box, 1.0) for box, _ in shown])
        for index, (shown, level) in enumerate(zip(faces, levels, strict=True))
    ]
    return [box for _, box in track_face(frames)]


def test_a_false_detection_does_not_draw_the_track_away_but_a_lasting_face_does():
    faces = [[MINE], [OTHERS], [MINE], *[[OTHERS]] * (MAX_GAP_FRAMES + 3)]
    assert track_of(faces) == [FACE, None, FACE, *[None] * MAX_GAP_FRAMES, ELSEWHERE, ELSEWHERE, ELSEWHERE]


# Cuts


def test_a_cut_starts_over():
    levels = [90, 90, 160, 160]
    assert track_of([[MINE], [MINE], [OTHERS], [OTHERS]], levels) == [FACE, FACE, ELSEWHERE, ELSEWHERE]


def test_a_cut_to_another_person_follows_that_one_and_back():
    film = Film()
    for _ in range(30):
        film.shoot(("ben", BEN, 70, 90, 40), ("anna", ANNA, 200, 90, 50))
    for _ in range(30):
        film.shoot(("cleo", CLEO, 200, 90, 60), background=(60, 90, 50))
    for _ in range(30):
        film.shoot(("ben", BEN, 70, 90, 40), ("anna", ANNA, 200, 90, 50))
    assert film.followed() == ["anna"] * 30 + ["cleo"] * 30 + ["anna"] * 30
    assert film.followed(choice=0) == ["ben"] * 30 + ["cleo"] * 30 + ["ben"] * 30
    assert film.followed(choice=(190, 90)) == ["anna"] * 30 + ["cleo"] * 30 + ["anna"] * 30
    assert film.followed(choice=1) == ["anna"] * 30 + [None] * 30 + ["anna"] * 30


# The stream


def test_one_frame_in_one_frame_out_and_memory_does_not_grow():
    taken = []

    def source():
        rng = np.random.default_rng(0)
        for index in range(400):
            taken.append(index)
            places = rng.uniform(0, 200, (3, 2))
            boxes = [FaceBox(x, y, x + 20, y + 30) for x, y in places.tolist()]
            yield index, np.full((60, 80, 3), 90, np.uint8), [Detection(box, 1.0) for box in boxes]

    result = track_face(source())
    sizes = []
    for index, (item, _) in enumerate(result):
        assert item == index == len(taken) - 1
        sizes.append(len(result.gi_frame.f_locals["scene"].people))
    assert max(sizes) < 40


def test_an_empty_video_and_one_without_faces():
    assert list(track_face([])) == []
    assert track_of([[], []]) == [None, None]


# The real detector


@pytest.fixture(scope="module")
def portraits():
    """The astronaut's head and shoulders, and somebody else made from them: mirrored and tinted; 128 x 112 px."""
    head = np.asarray(Image.fromarray(data.astronaut()[20:244, 90:346]).resize((128, 112), Image.Resampling.LANCZOS))
    return head, (head[:, ::-1] * [0.6, 0.85, 1.15]).clip(0, 255).astype(np.uint8)


def oval(height, width):
    y, x = (np.linspace(-1, 1, extent) for extent in (height, width))
    return (np.abs(x[None]) ** 2 + np.abs(y[:, None]) ** 2 < 1)[..., None]


def put(image, portrait, x, y):
    """Pastes the portrait in an oval around (x, y), cut at the image's edge."""
    height, width = portrait.shape[:2]
    left, top = round(x - width / 2), round(y - height / 2)
    a, b = max(0, left), min(image.shape[1], left + width)
    if a < b:
        here = slice(top, top + height), slice(a, b)
        there = slice(0, height), slice(a - left, b - left)
        image[here] = np.where(oval(height, width)[there], portrait[there], image[here])


@pytest.mark.parametrize("choice", [0, 1])
def test_mtcnn_sees_two_cross_and_the_right_one_is_followed(portraits, choice):
    torch.set_num_threads(1)
    detector = load_face_detector("mtcnn")

    def film():
        for index in range(50):
            frame = np.full((180, 320, 3), 120, np.uint8)
            put(frame, portraits[0], 60 + 4 * index, 90)
            put(frame, portraits[1], 260 - 4 * index, 90)
            yield index, frame

    boxes = [box for _, box in track_face(find_faces(film(), detector), choice=choice)]
    ways = [60 + 4 * index for index in range(50)], [260 - 4 * index for index in range(50)]
    apart = [index for index in range(50) if abs(ways[0][index] - ways[1][index]) > 80]  # neither half hidden
    assert len(apart) == 29
    for index in apart:
        middle = (boxes[index].x1 + boxes[index].x2) / 2
        assert abs(middle - ways[choice][index]) < 20 < abs(middle - ways[1 - choice][index])


def test_mtcnn_and_a_face_that_moves_with_a_faceless_middle(portraits):
    torch.set_num_threads(1)
    detector = load_face_detector("mtcnn")

    def film():
        for index in range(60):
            frame = np.full((180, 320, 3), 120, np.uint8)
            if not 20 <= index < 40:
                put(frame, portraits[0], 70 + 3 * index, 90)
            yield index, frame

    boxes = [box for _, box in track_face(find_faces(film(), detector))]
    assert [box is None for box in boxes] == [20 <= index < 40 for index in range(60)]
    (still,) = detector([data.astronaut()])[0]
    offset = ((still.box.x1 + still.box.x2) / 2 - 90) / 2 - 64  # of the face from the portrait's middle
    for index, box in enumerate(boxes):
        assert box is None or abs((box.x1 + box.x2) / 2 - (70 + 3 * index + offset)) < 4
