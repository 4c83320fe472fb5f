import numpy as np
import pytest

from diff2lip_diffusers.corpus.acoustics import NOISES, PEAKS, add_echo, add_noise, degrade

RATE = 16000


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def speech():
    """Bursts of sound in silence."""
    samples = np.random.default_rng(1).standard_normal(2 * RATE).astype(np.float32) * 0.1
    return samples * np.repeat([0, 1, 0, 1, 0, 1, 1, 0], RATE // 4).astype(np.float32)


@pytest.mark.parametrize("kind", NOISES)
@pytest.mark.parametrize("snr_db", [0.0, 20.0])
def test_noise_has_the_wanted_power(speech, rng, kind, snr_db):
    noise = add_noise(speech, RATE, kind, snr_db, rng).astype(np.float64) - speech
    assert 10 * np.log10(np.mean(speech.astype(np.float64) ** 2) / np.mean(noise**2)) == pytest.approx(
        snr_db, abs=0.01
    )


@pytest.mark.parametrize("kind, db_per_octave", [("white", 0.0), ("pink", -3.01), ("brown", -6.02)])
def test_noise_has_the_slope_of_its_color(rng, kind, db_per_octave):
    silence_but_one = np.zeros(6 * RATE, np.float32)
    silence_but_one[0] = 1.0
    noise = add_noise(silence_but_one, RATE, kind, 0.0, rng)[1:]
    power = np.abs(np.fft.rfft(noise)) ** 2
    frequencies = np.fft.rfftfreq(len(noise), 1 / RATE)
    octaves = [np.mean(power[(frequencies >= low) & (frequencies < 2 * low)]) for low in 100 * 2.0 ** np.arange(6)]
    slope = np.polyfit(np.arange(6), 10 * np.log10(octaves), 1)[0]
    assert slope == pytest.approx(db_per_octave, abs=0.2)


def test_hum_is_the_mains_and_its_harmonics(speech, rng):
    noise = add_noise(speech, RATE, "hum", 0.0, rng) - speech
    power = np.abs(np.fft.rfft(noise)) ** 2
    strongest = np.fft.rfftfreq(len(noise), 1 / RATE)[power.argmax()]
    assert strongest in (50.0, 60.0)
    harmonics = np.isin(np.fft.rfftfreq(len(noise), 1 / RATE), strongest * np.arange(1, 6))
    assert power[harmonics].sum() > 0.999 * power.sum()


def test_unknown_noise_is_told(speech, rng):
    with pytest.raises(ValueError, match="`kind` is 'green'"):
        add_noise(speech, RATE, "green", 20.0, rng)


@pytest.mark.parametrize("rt60_s", [0.1, 0.3])
def test_echo_of_an_impulse_decays_by_60_db_in_its_time(rng, rt60_s):
    impulse = np.zeros(RATE, np.float32)
    impulse[100] = 1.0
    room = add_echo(impulse, RATE, rt60_s, 10.0, rng)[100:].astype(np.float64)
    tail = room[1:]
    assert room[0] == pytest.approx(1.0, abs=1e-5)
    assert 10 * np.log10(np.sum(tail**2)) == pytest.approx(-10.0, abs=0.05)
    # Schroeder's backward integral: the level left after each moment, fitted over its first 20 dB.
    left_db = 10 * np.log10(np.cumsum(tail[::-1] ** 2)[::-1] / np.sum(tail**2) + 1e-12)
    fitted = (left_db < -2) & (left_db > -22)
    slope = np.polyfit(np.arange(len(tail))[fitted] / RATE, left_db[fitted], 1)[0]
    assert -60 / slope == pytest.approx(rt60_s, rel=0.15)


def test_echo_does_not_move_the_sound(speech, rng):
    wet = add_echo(speech, RATE, 0.3, 8.0, rng)
    similar = np.correlate(wet[: RATE // 2 + 500], speech[: RATE // 2], "valid")
    assert similar.argmax() == 0 and wet.shape == speech.shape


def test_half_of_the_draws_stay_clean(speech):
    clean, speech = 0, speech[: RATE // 2]
    for seed in range(200):
        soft = degrade(speech, RATE, np.random.default_rng(seed))
        scale = np.abs(soft).max() / np.abs(speech).max()
        clean += np.allclose(soft, scale * speech, atol=1e-6)
        assert soft.dtype == np.float32 and soft.shape == speech.shape
        assert PEAKS[0] - 1e-6 <= np.abs(soft).max() <= PEAKS[1] + 1e-6
    assert 75 <= clean <= 125  # 3.5 standard deviations


def test_softening_is_that_of_its_generator(speech):
    first, again, other = (degrade(speech, RATE, np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_silence_stays_silent():
    silence = np.zeros(RATE, np.float32)
    for seed in range(8):
        np.testing.assert_array_equal(degrade(silence, RATE, np.random.default_rng(seed)), silence)
