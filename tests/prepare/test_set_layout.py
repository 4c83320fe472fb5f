import pytest
from helpers.prepare_films import write_talk

from diff2lip_diffusers.prepare.prepare_options import PrepareOptions
from diff2lip_diffusers.prepare.prepare_videos import prepare_videos
from diff2lip_diffusers.prepare.set_layout import IndexEntry, SetSettings, index_from_text, index_to_text
from diff2lip_diffusers.training.training_clips import find_clips

SETTINGS_TEXT = '{"version": 1, "size_px": 96, "fps": 25, "sampling_rate": 16000}\n'
INDEX_TEXT = (
    '{"name": "a_000", "frames": 30, "identity": "a", "source": "videos/a.mp4", "start_s": 0.4, "confidence": 0.5,'
    ' "offset_frames": -2}\n'
    '{"name": "b_000", "frames": 25, "identity": "b", "source": "b.mp4", "start_s": 0.0, "confidence": null,'
    ' "offset_frames": null}\n'
)


def test_files_are_those_of_version_1():
    assert SetSettings(1, 96).to_text() == SETTINGS_TEXT
    entries = [IndexEntry("a_000", 30, "a", "videos/a.mp4", 0.4, 0.5, -2), IndexEntry("b_000", 25, "b", "b.mp4", 0.0)]
    assert index_to_text(entries) == INDEX_TEXT
    assert SetSettings.from_text(SETTINGS_TEXT) == SetSettings(1, 96) and index_from_text(INDEX_TEXT) == entries


def test_keys_that_a_reader_does_not_need_may_be_missing_or_more():
    assert index_from_text('{"name": "a", "frames": 3, "identity": "b", "mood": "good"}\n') == [
        IndexEntry("a", 3, "b")
    ]


@pytest.mark.parametrize(
    "text", ["[]", "3", '{"name": "a", "frames": 3}', '{"name": "a", "frames": "x", "identity": ""}']
)
def test_damage_is_one_of_three_errors(text):
    with pytest.raises((ValueError, KeyError, TypeError)):
        index_from_text(text)
    with pytest.raises((ValueError, KeyError, TypeError)):
        SetSettings.from_text(text)


def test_training_finds_the_clips_that_prepare_writes(tmp_path):
    prepare_videos(write_talk(tmp_path / "ann.mp4", 12), tmp_path / "set", PrepareOptions(size_px=32, min_seconds=0.4))
    (clip,), size_px = find_clips(tmp_path / "set")
    assert (size_px, clip.name, clip.frames, clip.identity, clip.fps) == (32, "ann_000", 12, "ann", 25)
    assert clip.video.is_file() and clip.speech.is_file()
