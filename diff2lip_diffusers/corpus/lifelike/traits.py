"""What a lifelike person has beyond a plain one: framing, light, skin, clothes and room, drawn from a seed."""

from dataclasses import dataclass

import numpy as np

COLLARS = ("crew", "v_neck", "shirt", "suit", "turtleneck", "scarf", "hoodie")
CLOTHES_PATTERNS = ("plain", "plain", "stripes", "checks", "dots", "knit")
ROOMS = ("gradient", "bokeh", "wall", "window", "shelves", "bricks", "paper", "leaves", "curtain", "panels")
LOCKS = ("none", "cheeks", "shoulders")

Tint = tuple[float, float, float]


@dataclass(frozen=True)
class LifeTraits:
    """Traits of a lifelike person and of the place that they are filmed in.

    Attributes:
        zoom: height of the face box as a multiple of a plain person's.
        zooming: how much the camera zooms in during a clip, as a logarithm.
        shift_x, shift_y: of the middle of the face box in the frame, as fractions of its side.
        yaw, pitch, roll: mean pose in degrees.
        liveliness: of the movements, 0 to 1.
        light_azimuth, light_height: direction of the key light in degrees, from the viewer's.
        hardness: of the key light: 0 soft, 1 hard with shadows.
        key, fill, rim: colors of key light, fill light and light from behind, 0 to about 1.
        rim_side: side of the light from behind, -1 or 1.
        texture: strength of pores and spots.
        wrinkles: 0 to 1.
        moles: number.
        make_up: 0 to 1.
        shadow_color: of the make-up on the lids, bytes.
        beard_length: 0 short, 1 long.
        locks: where hair falls in front.
        collar, clothes_pattern, room: as named above.
        pattern_color: of the clothes, bytes.
        pattern_scale: of clothes and room, around 1.
        teeth_width: of the upper front teeth, around 1.
        gum: how much gum shows, 0 to 1.
    """

    zoom: float
    zooming: float
    shift_x: float
    shift_y: float
    yaw: float
    pitch: float
    roll: float
    liveliness: float
    light_azimuth: float
    light_height: float
    hardness: float
    key: Tint
    fill: Tint
    rim: Tint
    rim_side: float
    texture: float
    wrinkles: float
    moles: int
    make_up: float
    shadow_color: tuple[int, int, int]
    beard_length: float
    locks: str
    collar: str
    clothes_pattern: str
    room: str
    pattern_color: tuple[int, int, int]
    pattern_scale: float
    teeth_width: float
    gum: float


def draw_traits(seed: int, feminine: bool, age: float) -> LifeTraits:
    """Returns the traits of a seed, always the same."""
    rng = np.random.default_rng([seed, 0x11FE])
    key, fill, rim = _draw_light(rng)
    return LifeTraits(
        zoom=_draw_zoom(rng),
        shift_x=float(np.clip(0.05 * rng.normal(), -0.1, 0.1)),
        shift_y=float(np.clip(0.03 * rng.normal(), -0.06, 0.06)),
        yaw=float(np.clip(14 * rng.normal(), -31, 31)),
        pitch=float(np.clip(8 * rng.normal(), -18, 18)),
        roll=float(np.clip(7 * rng.normal(), -18, 18)),
        liveliness=float(rng.uniform(0.25, 1)),
        light_azimuth=float(rng.choice((-1, 1)) * rng.uniform(8, 72)),
        light_height=float(rng.uniform(8, 52)),
        hardness=float(rng.beta(1.0, 1.4)),
        key=key,
        fill=fill,
        rim=rim,
        rim_side=float(rng.choice((-1, 1))),
        texture=float(rng.uniform(0.5, 1.4)),
        wrinkles=float(np.clip((age - 0.25) * rng.uniform(0.9, 1.8), 0, 1)),
        moles=int(rng.integers(0, 7)),
        make_up=float(rng.uniform(0.3, 1)) if feminine and rng.random() < 0.6 else 0.0,
        shadow_color=((92, 66, 78), (70, 84, 110), (120, 84, 60), (60, 50, 54), (122, 70, 92))[rng.integers(5)],
        beard_length=float(rng.beta(1.2, 2.0)),
        locks=str(rng.choice(LOCKS, p=(0.25, 0.35, 0.4))),
        collar=str(rng.choice(COLLARS, p=(0.2, 0.12, 0.18, 0.16, 0.1, 0.14, 0.1))),
        clothes_pattern=str(rng.choice(CLOTHES_PATTERNS)),
        room=str(rng.choice(ROOMS)),
        pattern_color=tuple(int(c) for c in rng.integers(20, 236, 3)),  # pyright: ignore[reportArgumentType]
        pattern_scale=float(rng.uniform(0.7, 1.5)),
        teeth_width=float(rng.uniform(0.85, 1.15)),
        gum=float(rng.beta(1, 3)),
        zooming=float(rng.choice((0.0, rng.uniform(-0.12, 0.12)), p=(0.7, 0.3))),
    )


def _draw_zoom(rng: np.random.Generator) -> float:
    """Mostly close: face boxes of 0.55 to 0.84 of the frame's height; one in eight is far away, down to 0.24."""
    kind = rng.random()
    return float(
        rng.uniform(0.37, 0.55) if kind < 0.04 else rng.uniform(0.55, 0.85) if kind < 0.12 else rng.uniform(0.85, 1.3)
    )


def _draw_light(rng: np.random.Generator) -> tuple[Tint, Tint, Tint]:
    """Colors of key, fill and rim light; together they light the face about as much for everyone."""
    share = rng.uniform(0.45, 0.78)  # of the key light
    bright = rng.uniform(0.98, 1.2)
    key = bright * share * _tint(rng, 0.10 if rng.random() < 0.8 else 0.28)
    fill = bright * (1 - share) * _tint(rng, 0.10 if rng.random() < 0.8 else 0.35)
    rim = rng.uniform(0.2, 0.8) * _tint(rng, 0.5) if rng.random() < 0.4 else np.zeros(3)
    return _floats(key), _floats(fill), _floats(rim)


def _tint(rng: np.random.Generator, spread: float) -> np.ndarray:
    """A color of brightness 1: warm or cold by about `spread`, a little green or magenta."""
    warm, green = rng.uniform(-1, 1) * spread, 0.25 * rng.uniform(-1, 1) * spread
    color = np.array([1 + warm, 1 + green, 1 - 1.25 * warm])
    return color / color.mean()


def _floats(values: np.ndarray) -> Tint:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
