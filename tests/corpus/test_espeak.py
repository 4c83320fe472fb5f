import time

import numpy as np
import pytest
from helpers.corpus_speech import needs_espeak

from diff2lip_diffusers.corpus import espeak
from diff2lip_diffusers.corpus.espeak import EspeakError, find_package, speak

needs_package = pytest.mark.skipif(find_package() == (None, None), reason="needs the package espeakng-loader")
TEXT = "Papa may buy five shoes, hello world."


@pytest.fixture(scope="module")
def spoken():
    return speak(TEXT, "en-us")


@needs_espeak
def test_speech_does_not_depend_on_what_was_spoken_before(spoken):
    other = speak("Guten Morgen.", "de", 190, 70, "f3")
    again = speak(TEXT, "en-us")
    assert not np.array_equal(other.samples, spoken.samples)
    np.testing.assert_array_equal(again.samples, spoken.samples)
    assert again.phonemes == spoken.phonemes


@needs_espeak
def test_the_noise_of_breath_does_not_depend_on_the_clock():
    first = speak("sis", "en-us")
    time.sleep(1.1)  # espeak-ng's own seed is the time in seconds
    assert np.array_equal(first.samples, speak("sis", "en-us").samples)


@needs_espeak
def test_samples_are_floats_of_full_scale(spoken):
    assert spoken.samples.dtype == np.float32 and spoken.samples.ndim == 1
    assert 0.1 < np.abs(spoken.samples).max() <= 1
    assert spoken.duration_s == len(spoken.samples) / spoken.sampling_rate


@needs_espeak
def test_phonemes_are_those_of_the_text_in_order(spoken):
    symbols = [phoneme.symbol.strip("ˈˌː") for phoneme in spoken.phonemes if phoneme.symbol]
    assert symbols == "p ɑ p ə m eɪ b aɪ f aɪ v ʃ u z h ə l oʊ w ɜ l d".split()


@needs_espeak
def test_phonemes_follow_each_other_to_the_end(spoken):
    for before, after in zip(spoken.phonemes, spoken.phonemes[1:], strict=False):
        assert before.start_s < before.end_s == after.start_s
    assert spoken.phonemes[-1].end_s == pytest.approx(spoken.duration_s)


@needs_espeak
def test_times_are_those_of_the_sound(spoken):
    """The comma is silent, the vowels are loud."""

    def loudness(phoneme):
        first, last = (round(time_s * spoken.sampling_rate) for time_s in (phoneme.start_s, phoneme.end_s))
        return np.sqrt(np.mean(spoken.samples[first:last] ** 2))

    pauses = [loudness(p) for p in spoken.phonemes if not p.symbol and p.end_s - p.start_s > 0.15]
    vowels = [loudness(p) for p in spoken.phonemes if p.symbol.strip("ˈˌ") in ("ɑː", "eɪ", "aɪ", "oʊ")]
    assert len(pauses) == 1 and len(vowels) == 5
    assert min(vowels) > 20 * max(pauses)


@needs_espeak
def test_rate_is_words_a_minute():
    durations_s = [speak(TEXT, "en-us", rate).duration_s for rate in (100, 200)]
    assert durations_s[0] / durations_s[1] == pytest.approx(2, rel=0.15)


@needs_espeak
def test_pitch_and_variant_raise_the_voice():
    def pitch_hz(**how):
        """The strongest period of a long vowel, between 60 and 500 Hz."""
        spoken = speak("ah", "en-us", 80, **how)
        vowel = spoken.samples[len(spoken.samples) // 4 : len(spoken.samples) // 2]
        similar = np.correlate(vowel, vowel, "full")[len(vowel) - 1 :]
        shortest, longest = spoken.sampling_rate // 500, spoken.sampling_rate // 60
        return spoken.sampling_rate / (shortest + similar[shortest:longest].argmax())

    low, high, woman = pitch_hz(pitch=20), pitch_hz(pitch=80), pitch_hz(pitch=20, variant="f4")
    assert 60 < low < 0.8 * high and low < 0.8 * woman


@needs_espeak
@pytest.mark.parametrize(
    "how, told", [({"voice": "xx-yy"}, "xx-yy"), ({"voice": "de", "variant": "nobody"}, "nobody")]
)
def test_unknown_voices_are_named(how, told):
    with pytest.raises(EspeakError, match=f"no .*{told}.*; choose another, such as") as error:
        speak("Hallo.", **how)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "how, told",
    [({"text": " "}, "`text` is ' '"), ({"rate_wpm": 20}, "`rate_wpm` is 20"), ({"pitch": 100}, "`pitch` is 100")],
)
def test_wrong_arguments_are_named(how, told):
    with pytest.raises(ValueError, match=told):
        speak(**{"text": "Hello.", "voice": "en-us", **how})


def test_missing_library_is_said_with_its_cure(monkeypatch, tmp_path):
    speaker = tmp_path / "speaker.py"
    speaker.write_text(
        "import ctypes, ctypes.util, runpy\n"
        "class CDLL:\n    def __init__(self, name):\n        raise OSError(name)\n"
        "ctypes.CDLL, ctypes.util.find_library = CDLL, lambda name: None\n"
        f"runpy.run_path({str(espeak.SCRIPT)!r}, run_name='__main__')\n"
    )
    monkeypatch.setattr(espeak, "SCRIPT", speaker)
    with pytest.raises(
        EspeakError, match=r"espeak-ng is not installed; pip install \"diff2lip-diffusers\[corpus\]\"$"
    ):
        speak("Hello.", "en-us")


@needs_package
def test_a_system_library_speaks_if_the_package_is_not_there(monkeypatch, tmp_path, spoken):
    library, data = find_package()
    speaker = tmp_path / "speaker.py"
    speaker.write_text(
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('own', {str(espeak.SCRIPT)!r})\n"
        "own = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(own)\n"
        f"own.SYSTEM_LIBRARIES = ({library!r},)\n"
        "sys.exit(own.main())\n"
    )
    monkeypatch.setattr(espeak, "SCRIPT", speaker)
    monkeypatch.setenv("ESPEAK_DATA_PATH", data)
    for package in ((None, None), (str(speaker), data)):  # no package, and one whose library cannot be loaded
        monkeypatch.setattr(espeak, "find_package", lambda package=package: package)
        np.testing.assert_array_equal(speak(TEXT, "en-us").samples, spoken.samples)


@needs_package
def test_data_may_lie_deeper_than_espeak_can_read(monkeypatch, tmp_path, spoken):
    library, data = find_package()
    deep = tmp_path / ("x" * 100) / ("y" * 100)
    deep.parent.mkdir()
    deep.symlink_to(data)
    monkeypatch.setattr(espeak, "find_package", lambda: (library, str(deep)))
    np.testing.assert_array_equal(speak(TEXT, "en-us").samples, spoken.samples)


def test_a_speaker_that_breaks_down_is_quoted(monkeypatch, tmp_path):
    speaker = tmp_path / "speaker.py"
    speaker.write_text("raise RuntimeError('out of breath')")
    monkeypatch.setattr(espeak, "SCRIPT", speaker)
    with pytest.raises(EspeakError, match="exit code 1.*'Hello.': RuntimeError: out of breath$"):
        speak("Hello.", "en-us")
