"""Identities of drawn people: hundreds of different faces, each from its seed."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .lifelike.traits import LifeTraits, draw_traits

Color = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

# "mixed" is not drawn itself: it stands for one of the other two, by the seed.
LOOKS = ("plain", "life", "mixed")
PLAIN_SHARE = 0.15  # of the people of a mixed corpus

HAIR_STYLES = ("buzz", "short", "side_part", "quiff", "fringe", "long", "wavy", "curls", "bun", "bald")
BEARDS = ("none", "stubble", "moustache", "goatee", "full")
GLASSES = ("none", "round", "square")
COLLARS = ("crew", "v_neck", "shirt")
BACKGROUNDS = ("gradient", "bokeh", "wall", "window")

_SKINS = (
    (250, 219, 200), (245, 205, 180), (236, 188, 156), (220, 168, 130),
    (196, 142, 105), (164, 110, 79), (130, 84, 60), (102, 66, 49),
)  # fmt: skip
_DARK_HAIR = ((30, 24, 24), (45, 32, 27), (66, 44, 32))
_FAIR_HAIR = ((98, 64, 42), (134, 66, 38), (172, 84, 42), (196, 152, 92), (222, 190, 138), (120, 92, 66))
_AGED_HAIR = ((148, 146, 146), (205, 202, 198))
_IRISES = ((84, 54, 34), (60, 38, 26), (104, 78, 42), (88, 112, 74), (78, 118, 152), (108, 132, 148), (70, 92, 110))
_CLOTHES = (
    (46, 74, 112), (112, 46, 58), (58, 96, 84), (206, 200, 188), (52, 52, 60), (166, 122, 74),
    (126, 92, 132), (70, 112, 142), (186, 96, 70), (92, 102, 64), (224, 190, 110), (88, 60, 50),
)  # fmt: skip
_WALLS = (
    (150, 172, 190), (196, 184, 166), (132, 148, 128), (178, 156, 160), (110, 122, 142), (204, 198, 190),
    (94, 110, 116), (170, 140, 116), (120, 104, 128), (156, 186, 176),
)  # fmt: skip


@dataclass(frozen=True)
class Identity:
    """A drawn person and their room: colors as bytes, proportions as factors around 1 or shifts around 0.

    `lips`, `cavity`, `teeth`, `tongue` and `skin` are the colors without lighting; `evaluation.mouth_opening` finds
    the open mouth by them.
    """

    seed: int
    skin: Color
    lips: Color
    cavity: Color
    teeth: Color
    tongue: Color
    hair: Color
    brow: Color
    iris: Color
    clothes: Color
    clothes_detail: Color
    background: Color
    background_detail: Color
    frame: Color
    hair_style: str
    beard: str
    glasses: str
    collar: str
    background_kind: str
    face_width: float
    jaw_width: float
    chin_width: float
    cheek: float
    eye_size: float
    eye_distance: float
    eye_height: float
    eye_slant: float
    lid_height: float
    lashes: float
    brow_thickness: float
    brow_arch: float
    brow_height: float
    nose_width: float
    nose_length: float
    mouth_width: float
    upper_lip: float
    lower_lip: float
    cupids_bow: float
    ear_size: float
    blush: float
    freckles: float
    age: float
    hair_volume: float
    hair_side: float
    light_x: float
    light_y: float
    light_strength: float
    light_warmth: float
    traits: LifeTraits | None = None

    @property
    def look(self) -> str:
        """`"plain"` or `"life"`."""
        return "plain" if self.traits is None else "life"

    @property
    def life(self) -> LifeTraits:
        """The traits of a lifelike person.

        Raises:
            ValueError: for a plain person, who has none.
        """
        if self.traits is None:
            raise ValueError(f"the person of seed {self.seed} is plain; draw them with look='life'")
        return self.traits

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        values = dataclasses.asdict(self)
        return values if self.traits else {name: value for name, value in values.items() if name != "traits"}


def look_of(seed: int, look: str) -> str:
    """Returns `"plain"` or `"life"`: `look`, or for `"mixed"` what the seed decides.

    Raises:
        ValueError: if `look` is unknown.
    """
    if look not in LOOKS:
        raise ValueError(f"`look` is {look!r}, expected one of {', '.join(LOOKS)}")
    if look != "mixed":
        return look
    return "plain" if np.random.default_rng([seed, 0x100C]).random() < PLAIN_SHARE else "life"


def draw_identity(seed: int, look: str = "plain") -> Identity:
    """Returns the person of a seed; the same seed always gives the same person.

    Args:
        seed: 0 or greater.
        look: `"plain"`, `"life"` for a lifelike person, or `"mixed"`, where the seed decides.

    Raises:
        ValueError: for a negative seed, or an unknown look.
    """
    plain, feminine = _draw_plain(seed)
    return _lifelike(plain, feminine) if look_of(seed, look) == "life" else plain


def _lifelike(plain: Identity, feminine: bool) -> Identity:
    """Returns the lifelike person that belongs to a plain one: smaller eyes, less even features, and traits."""
    rng = np.random.default_rng([plain.seed, 0x11FF])
    return dataclasses.replace(
        plain,
        eye_size=plain.eye_size * float(rng.uniform(0.78, 0.90)),
        lid_height=plain.lid_height * float(rng.uniform(0.72, 0.92)),
        eye_distance=plain.eye_distance * float(rng.uniform(0.93, 1.0)),
        nose_width=plain.nose_width * float(rng.uniform(0.88, 1.2)),
        jaw_width=plain.jaw_width * float(rng.uniform(0.94, 1.05)),
        face_width=plain.face_width * float(rng.uniform(0.93, 1.02)),
        upper_lip=plain.upper_lip * float(rng.uniform(0.65, 1.05)),
        lower_lip=plain.lower_lip * float(rng.uniform(0.75, 1.05)),
        brow_thickness=plain.brow_thickness * float(rng.uniform(0.7, 1.1)),
        teeth=_darkened(plain.teeth, float(rng.uniform(0.84, 1.0))),
        traits=draw_traits(plain.seed, feminine, plain.age),
    )


def _darkened(tone: Color, factor: float) -> Color:
    """Returns a darker color, yellower the darker it is."""
    return _as_color(np.array(tone) * (factor, factor, factor**1.6))


def _draw_plain(seed: int) -> tuple[Identity, bool]:
    """Returns the plain person of a seed, and whether they look feminine."""
    if seed < 0:
        raise ValueError(f"seed must be 0 or greater, got {seed}")
    rng = np.random.default_rng([seed, 0x1DE])
    feminine = bool(rng.random() < 0.5)
    tone = float(rng.uniform(0, len(_SKINS) - 1))
    age = float(rng.beta(1.3, 2.2))
    skin = _jitter(rng, _mix_palette(_SKINS, tone), 4)
    hair = _draw_hair_color(rng, tone, age)
    clothes, detail = (_jitter(rng, _CLOTHES[i], 10) for i in rng.choice(len(_CLOTHES), 2, replace=False))
    wall, wall_detail = (_jitter(rng, _WALLS[i], 10) for i in rng.choice(len(_WALLS), 2, replace=False))
    identity = Identity(
        seed=seed,
        skin=skin,
        lips=_draw_lips(rng, skin, feminine),
        cavity=_jitter(rng, (52, 15, 17), 5),
        teeth=_jitter(rng, (240, 234, 220), 5),
        tongue=_jitter(rng, (184, 84, 88), 6),
        hair=hair,
        brow=_as_color(0.72 * c for c in hair) if sum(hair) > 200 else hair,
        iris=_jitter(rng, _IRISES[rng.integers(2) if tone > 4 else rng.integers(len(_IRISES))], 8),
        clothes=clothes,
        clothes_detail=detail,
        background=wall,
        background_detail=wall_detail,
        frame=_jitter(rng, ((34, 30, 32), (96, 58, 38), (142, 128, 104), (60, 66, 92))[rng.integers(4)], 8),
        hair_style=_draw_hair_style(rng, feminine, age),
        beard="none" if feminine else str(rng.choice(BEARDS, p=(0.42, 0.22, 0.1, 0.1, 0.16))),
        glasses=str(rng.choice(GLASSES, p=(0.74, 0.13, 0.13))),
        collar=str(rng.choice(COLLARS)),
        background_kind=str(rng.choice(BACKGROUNDS)),
        light_x=float(rng.choice((-1, 1)) * rng.uniform(0.15, 0.75)),
        light_y=float(rng.uniform(-0.65, -0.25)),
        light_strength=float(rng.uniform(0.9, 1.1)),
        light_warmth=float(rng.uniform(-0.6, 1)),
        age=age,
        **_draw_proportions(rng, feminine),  # pyright: ignore[reportArgumentType]
    )
    return identity, feminine


def _draw_proportions(rng: np.random.Generator, feminine: bool) -> dict[str, float]:
    """Returns the proportions of head and features; about half of the people look feminine."""
    soft = 1.0 if feminine else 0.0

    def around(center: float, spread: float) -> float:
        return float(center + spread * np.clip(rng.normal(), -2, 2))

    return {
        "face_width": around(0.99 - 0.02 * soft, 0.025),
        "jaw_width": around(1.02 - 0.07 * soft, 0.04),
        "chin_width": around(1.03 - 0.13 * soft, 0.07),
        "cheek": around(1, 0.2),
        "eye_size": around(1 + 0.06 * soft, 0.05),
        "eye_distance": around(0.975, 0.025),
        "eye_height": around(0, 0.008),
        "eye_slant": around(-0.05, 0.06),
        "lid_height": around(0.98 + 0.04 * soft, 0.08),
        "lashes": around(0.65 + 0.55 * soft, 0.12),
        "brow_thickness": around(1.34 - 0.42 * soft, 0.14),
        "brow_arch": around(0.9 + 0.3 * soft, 0.3),
        "brow_height": around(0.005 * soft - 0.012, 0.006),
        "nose_width": around(1.04 - 0.1 * soft, 0.08),
        "nose_length": around(0.86, 0.08),
        "mouth_width": around(1.02 - 0.03 * soft, 0.05),
        "upper_lip": around(0.9 + 0.2 * soft, 0.13),
        "lower_lip": around(0.94 + 0.14 * soft, 0.12),
        "cupids_bow": around(1, 0.25),
        "ear_size": around(1, 0.08),
        "blush": around(0.9 + 0.3 * soft, 0.25),
        "freckles": float(max(0.0, rng.uniform(-3, 1))),
        "hair_volume": around(1, 0.16),
        "hair_side": float(rng.choice((-1, 1)) * rng.uniform(0.5, 1)),
    }


def _mix_palette(palette: tuple[Color, ...], place: float) -> np.ndarray:
    left = min(int(place), len(palette) - 2)
    return np.array(palette[left]) + (place - left) * (np.array(palette[left + 1]) - np.array(palette[left]))


def _jitter(rng: np.random.Generator, color, spread: float) -> Color:
    """Returns the color with a random change, mostly in brightness."""
    moved = np.asarray(color) + rng.uniform(-spread, spread) + rng.uniform(-spread, spread, 3) / 2
    return _as_color(np.clip(moved, 0, 255))


def _as_color(values: Iterable[float]) -> Color:
    red, green, blue = (int(value) for value in values)
    return red, green, blue


def _draw_lips(rng: np.random.Generator, skin: Color, feminine: bool) -> Color:
    """Returns a lip color that is redder and darker than the skin, sometimes with lipstick."""
    natural = np.array(skin) * (0.84, 0.60, 0.62) + (6, 2, 6)
    lipstick = np.array(((188, 52, 66), (170, 62, 88), (202, 92, 92), (150, 50, 60))[rng.integers(4)])
    share = rng.uniform(0.35, 0.8) if feminine and rng.random() < 0.5 else 0
    return _jitter(rng, natural + share * (lipstick * (0.55 + 0.45 * skin[0] / 250) - natural), 5)


def _draw_hair_color(rng: np.random.Generator, tone: float, age: float) -> Color:
    """Returns a hair color: mostly dark for dark skins, mostly gray in old age."""
    if age > 0.5 and rng.random() < 0.7:
        palette = _AGED_HAIR
    elif rng.random() < 0.2 + 0.14 * tone:
        palette = _DARK_HAIR
    else:
        palette = _FAIR_HAIR
    return _jitter(rng, _mix_palette(palette, rng.uniform(0, len(palette) - 1)), 6)


def _draw_hair_style(rng: np.random.Generator, feminine: bool, age: float) -> str:
    bald = 0.03 + 0.25 * age
    weights = (0.02, 0.1, 0.12, 0.03, 0.2, 0.2, 0.18, 0.12, 0.15, 0) if feminine else (
        0.14, 0.24, 0.22, 0.16, 0.02, 0.02, 0.03, 0.12, 0.02, bald
    )  # fmt: skip
    return str(rng.choice(HAIR_STYLES, p=np.array(weights) / sum(weights)))
