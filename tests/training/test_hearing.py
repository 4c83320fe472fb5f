"""Mel windows as other heads, microphones and rooms would give them: against what a change of level must do."""

import pytest
import torch

from diff2lip_diffusers.training.hearing import GAIN_DB, UNIT_DB, Hearing, _warped, as_recorded


def heard(windows: torch.Tensor, **settings) -> torch.Tensor:
    return as_recorded(windows, Hearing(**settings), torch.Generator().manual_seed(0))


def test_without_settings_only_the_level_changes():
    windows = torch.rand(50, 80, 16, generator=torch.Generator().manual_seed(1)) - 0.5
    shift = heard(windows) - windows
    torch.testing.assert_close(shift, shift[:, :1, :1].expand_as(shift), rtol=0, atol=1e-6)
    assert 0.8 * GAIN_DB / UNIT_DB < shift.abs().max() <= GAIN_DB / UNIT_DB + 1e-6


def test_a_warp_moves_every_frequency_by_the_same_factor():
    ramp = torch.arange(80.0)[None, :, None].expand(50, 80, 16)
    warped = _warped(ramp, 0.1, torch.Generator().manual_seed(0))
    factors = warped[:, 40, 0] / 40
    assert factors.min() < 0.92 and factors.max() > 1.08
    expected = (torch.arange(80.0) * factors[:, None]).clamp(max=79)
    torch.testing.assert_close(warped, expected[..., None].expand_as(warped))


def test_an_equalizer_is_the_same_at_all_times_smooth_over_frequencies_and_keeps_the_floor():
    windows = torch.zeros(500, 80, 16)
    windows[:, :, 8:] = -4
    made = heard(windows, equalizer_db=5.0)
    gain = made[:, :, 0] - made[:, :, 0].mean(dim=1, keepdim=True)
    torch.testing.assert_close(made[:, :, :8], made[:, :, :1].expand(-1, -1, 8))
    assert gain.diff(dim=1).abs().max() < 0.25 * gain.abs().max()
    # 5 dB on the scale, and half of the sum of the squared heights is the energy of cosines.
    assert gain.std() * UNIT_DB == pytest.approx(5.0, rel=0.35)
    at_floor = heard(windows)[:, :, 8:] == -4
    assert at_floor.any() and (made[:, :, 8:][at_floor] == -4).all()


def test_noise_raises_what_is_soft_in_its_share_of_the_windows():
    windows = torch.full((1000, 80, 16), -4.0)
    windows[:, :40] = 2.0
    made, without = heard(windows, noise_share=0.3), heard(windows)
    assert torch.equal(made[:, :40], without[:, :40])
    raised = (made[:, 40:] > without[:, 40:] + 1e-6).flatten(1).any(dim=1)
    assert raised.float().mean().item() == pytest.approx(0.3, abs=0.1)


@pytest.mark.parametrize("name", ["frequency_warp", "equalizer_db", "noise_share"])
def test_what_is_out_of_range_is_named(name):
    with pytest.raises(ValueError, match=f"`{name}` is -1"):
        Hearing(**{name: -1})
