import dataclasses
import json

import numpy as np
import pytest

from diff2lip_diffusers.corpus.identity import BEARDS, GLASSES, HAIR_STYLES, draw_identity

MANY = [draw_identity(seed) for seed in range(400)]
COLORS = [
    "skin", "lips", "cavity", "teeth", "tongue", "hair", "brow", "iris", "clothes", "clothes_detail",
    "background", "background_detail", "frame",
]  # fmt: skip


def luminance(color) -> float:
    """Rec. 709, on bytes."""
    return float(np.dot(color, (0.2126, 0.7152, 0.0722)))


def test_same_seed_same_person():
    assert draw_identity(7) == draw_identity(7)


def test_hundreds_of_seeds_give_as_many_people():
    looks = {dataclasses.replace(identity, seed=0) for identity in MANY}
    assert len(looks) == len(MANY)


def test_every_style_is_worn():
    assert {identity.hair_style for identity in MANY} == set(HAIR_STYLES)
    assert {identity.beard for identity in MANY} == set(BEARDS)
    assert {identity.glasses for identity in MANY} == set(GLASSES)


def test_skins_go_from_light_to_dark():
    tones = [luminance(identity.skin) for identity in MANY]
    assert min(tones) < 85 and max(tones) > 210
    assert np.ptp(np.percentile(tones, [25, 75])) > 40


@pytest.mark.parametrize("name", COLORS)
def test_colors_are_bytes(name):
    for identity in MANY:
        color = getattr(identity, name)
        assert len(color) == 3
        assert all(type(value) is int and 0 <= value <= 255 for value in color)


def test_a_measure_can_tell_the_mouth_from_what_is_around_it():
    for identity in MANY:
        skin, lips, cavity, teeth, tongue = (
            np.array(getattr(identity, name), dtype=float) for name in ("skin", "lips", "cavity", "teeth", "tongue")
        )
        assert np.linalg.norm(skin - lips) > 18
        assert luminance(lips) < luminance(skin) - 10
        assert luminance(cavity) < 0.75 * luminance(lips)
        assert luminance(teeth) > luminance(lips) + 50
        assert luminance(cavity) + 40 < luminance(tongue)


def test_json_gives_it_back():
    read = json.loads(json.dumps(MANY[3].to_json()))
    tuples = {name: tuple(value) if isinstance(value, list) else value for name, value in read.items()}
    assert tuples | {"traits": None} == dataclasses.asdict(MANY[3])


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="seed must be 0 or greater, got -1"):
        draw_identity(-1)
