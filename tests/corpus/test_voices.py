import subprocess
import sys

import numpy as np
import pytest
from helpers.corpus_speech import needs_espeak

from diff2lip_diffusers.corpus import espeak_process
from diff2lip_diffusers.corpus.espeak import find_package
from diff2lip_diffusers.corpus.sentences import LANGUAGES
from diff2lip_diffusers.corpus.voices import ACCENTS, PITCHES, RATES_WPM, VARIANTS, draw_voice


def test_splits_share_no_speaker():
    assert set(VARIANTS["train"]).isdisjoint(VARIANTS["test"])
    for split, variants in VARIANTS.items():
        rng = np.random.default_rng(0)
        assert {draw_voice(rng, split).variant for _ in range(600)} == set(variants)


def test_every_language_and_accent_is_spoken_within_the_ranges():
    rng = np.random.default_rng(0)
    voices = [draw_voice(rng, "train") for _ in range(600)]
    assert {voice.language for voice in voices} == set(LANGUAGES)
    assert {voice.accent for voice in voices} == {accent for accents in ACCENTS.values() for accent in accents}
    for voice in voices:
        assert voice.accent in ACCENTS[voice.language]
    assert (min(voice.rate_wpm for voice in voices), max(voice.rate_wpm for voice in voices)) == RATES_WPM
    assert (min(voice.pitch for voice in voices), max(voice.pitch for voice in voices)) == PITCHES


def test_the_same_generator_draws_the_same_voice():
    assert draw_voice(np.random.default_rng(5), "test") == draw_voice(np.random.default_rng(5), "test")


def test_unknown_split_is_told():
    with pytest.raises(ValueError, match="`split` is 'dev'"):
        draw_voice(np.random.default_rng(0), "dev")


@needs_espeak
def test_espeak_has_all_voices_and_variants():
    names = [accent for accents in ACCENTS.values() for accent in accents]
    path, data = find_package()
    script = (
        "import runpy\n"
        f"own = runpy.run_path({espeak_process.__file__!r})\n"
        f"library = own['load_library']({path!r})\n"
        f"assert own['start'](library, {data!r}) > 0\n"
        f"print([name for name in {names!r} if library.espeak_SetVoiceByName(name.encode())],\n"
        f"      [name for name in {sum(VARIANTS.values(), ())!r} if not own['has_variant'](library, name)])\n"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "[] []"
