"""Measurements with a painter that leaves everything as it is, whose results are known."""

from types import SimpleNamespace

import pytest
import torch
from helpers.corpus_speech import needs_espeak

from diff2lip_diffusers.evaluation.mouth_sync import (
    draw_people,
    measure_flicker,
    measure_ground_truth,
    measure_reconstruction,
    measure_sync,
    mouth_zones,
    psnr_db,
)

UNET = SimpleNamespace(config=SimpleNamespace(sample_size=32))


class Painter:
    """A pipeline that gives back the crops, the lower halves brighter by so much."""

    def __init__(self, brighter: float = 0.0):
        self.unet, self.brighter = UNET, brighter
        self.feature_extractor = SimpleNamespace(sampling_rate=16000)

    def __call__(self, crops, **_):
        painted = crops.clone()
        painted[:, :, crops.shape[-1] // 2 :] += self.brighter
        return SimpleNamespace(frames=painted)


@pytest.fixture(scope="module")
def people():
    return draw_people(2, 32, 16)


@needs_espeak
def test_an_unchanged_mouth_follows_the_original_speech(people):
    zones = mouth_zones(people)
    found = measure_sync(Painter(), 1, people, zones)
    assert found.original_speech == measure_ground_truth(people, zones)
    assert min(agreement.correlation for agreement in found.original_speech) > 0.8
    assert max(agreement.correlation for agreement in found.target_speech) < 0.8


@needs_espeak
def test_reconstruction_is_the_signal_to_noise_ratio_of_the_lower_half(people):
    assert measure_reconstruction(Painter(0.1), 1, people) == pytest.approx([20, 20], abs=1e-3)


def test_signal_to_noise_ratio_by_hand():
    true, painted = torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)
    painted[:, :, 2:] = 0.01
    painted[:, :, :2] = 0.9
    assert psnr_db(painted, true) == pytest.approx(40, abs=1e-3)


def test_a_head_at_rest_does_not_flicker_by_itself():
    assert measure_flicker(Painter(), 1, 900_001, num_frames=4) < 0.5
