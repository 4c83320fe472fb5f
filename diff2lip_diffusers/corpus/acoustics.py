"""Adds what a room and a microphone add to clean speech: level, a little echo, noise."""

import numpy as np

CLEAN_SHARE = 0.5
SNRS_DB = (15.0, 40.0)
RT60S_S = (0.08, 0.35)
PEAKS = (0.25, 0.95)
DIRECT_TO_ECHO_DB = (8.0, 18.0)
NOISES = ("white", "pink", "brown", "hum")


def degrade(samples: np.ndarray, sampling_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Changes the level of speech; in half of the draws, also adds echo, noise or both.

    Args:
        samples: (T,) float32 in [-1, 1].
        sampling_rate: of `samples`, in Hz.
        rng: decides what is done.

    Returns:
        (T,) float32 in [-1, 1], without delay.
    """
    level = rng.uniform(*PEAKS)
    if rng.random() >= CLEAN_SHARE:
        kind = rng.integers(3)  # 0: echo, 1: noise, 2: both
        if kind != 1:
            samples = add_echo(samples, sampling_rate, rng.uniform(*RT60S_S), rng.uniform(*DIRECT_TO_ECHO_DB), rng)
        if kind != 0:
            samples = add_noise(samples, sampling_rate, str(rng.choice(NOISES)), rng.uniform(*SNRS_DB), rng)
    loudest = np.abs(samples).max(initial=0.0)
    return (samples * (level / loudest if loudest else 1.0)).astype(np.float32)


def add_echo(
    samples: np.ndarray, sampling_rate: int, rt60_s: float, direct_to_echo_db: float, rng: np.random.Generator
) -> np.ndarray:
    """Adds the echo of a small room: noise that decays by 60 dB in `rt60_s`.

    Args:
        samples: (T,) float.
        sampling_rate: in Hz.
        rt60_s: reverberation time in seconds.
        direct_to_echo_db: energy of the direct path relative to that of the echo's impulse response.
        rng: draws the room.

    Returns:
        (T,) float32.

    Source: Moorer, "About This Reverberation Business", 1979 (a room as exponentially decaying noise).
    """
    count = max(1, round(rt60_s * sampling_rate))
    times = np.arange(count) / sampling_rate
    tail = rng.standard_normal(count) * 10 ** (-3 * times / rt60_s)
    tail[: max(1, round(0.003 * sampling_rate))] = 0  # no wall is closer than half a meter
    tail *= 10 ** (-direct_to_echo_db / 20) / max(np.sqrt((tail**2).sum()), 1e-12)
    tail[0] = 1.0
    size = 1 << (len(samples) + count - 1).bit_length()
    wet = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(tail, size), size)[: len(samples)]
    return wet.astype(np.float32)


def add_noise(
    samples: np.ndarray, sampling_rate: int, kind: str, snr_db: float, rng: np.random.Generator
) -> np.ndarray:
    """Adds steady noise.

    Args:
        samples: (T,) float.
        sampling_rate: in Hz.
        kind: `"white"`, `"pink"`, `"brown"` or `"hum"`.
        snr_db: power of the speech relative to that of the noise.
        rng: draws the noise.

    Returns:
        (T,) float32.

    Raises:
        ValueError: if `kind` is unknown.
    """
    noise = _noise(kind, len(samples), sampling_rate, rng)
    target_rms = np.sqrt(np.mean(np.square(samples, dtype=np.float64))) * 10 ** (-snr_db / 20)
    rms = np.sqrt(np.mean(noise**2))
    return (samples + noise * (target_rms / rms if rms else 0.0)).astype(np.float32)


def _noise(kind: str, count: int, sampling_rate: int, rng: np.random.Generator) -> np.ndarray:
    if kind == "hum":
        return _hum(count, sampling_rate, rng)
    slopes = {"white": 0.0, "pink": 0.5, "brown": 1.0}  # amplitude falls with frequency to this power
    if kind not in slopes:
        raise ValueError(f"`kind` is {kind!r}, known are {', '.join(NOISES)}")
    spectrum = np.fft.rfft(rng.standard_normal(count))
    frequencies = np.fft.rfftfreq(count, 1 / sampling_rate)
    return np.fft.irfft(spectrum / np.maximum(frequencies, 20.0) ** slopes[kind], count)


def _hum(count: int, sampling_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Mains hum: 50 or 60 Hz with its first harmonics."""
    base_hz, times = rng.choice((50.0, 60.0)), np.arange(count) / sampling_rate
    phases = rng.uniform(0, 2 * np.pi, 5)
    waves = (np.sin(2 * np.pi * base_hz * (n + 1) * times + phase) / (n + 1) for n, phase in enumerate(phases))
    return sum(waves, np.zeros(count))
