"""A corpus on disk: the files of a clip, resuming, and what is refused."""

import json

import numpy as np
import pytest
from helpers.corpus_speech import needs_espeak

from diff2lip_diffusers.corpus.corpus_folder import find_corpus_clips
from diff2lip_diffusers.corpus.head import render_frame
from diff2lip_diffusers.corpus.identity import draw_identity
from diff2lip_diffusers.corpus.make_corpus import CorpusSettings, clip_seed, make_corpus
from diff2lip_diffusers.corpus.motion import draw_motion
from diff2lip_diffusers.corpus.mouth_table import COLUMNS, read_mouth_table, write_mouth_table
from diff2lip_diffusers.corpus.utterance import draw_utterance
from diff2lip_diffusers.errors import Diff2LipError, MediaError
from diff2lip_diffusers.faces.detections_file import read_detections
from diff2lip_diffusers.media.reader import probe_video, read_audio, read_rgb

SETTINGS = CorpusSettings(seed=3, size_px=96, look="plain")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus") / "corpus"
    return folder, make_corpus(folder, 2, SETTINGS)


@needs_espeak
def test_a_clip_shows_and_sounds_what_its_table_says(corpus):
    clip = corpus[1][1]
    seed = clip_seed(SETTINGS, 1)
    spoken = draw_utterance(seed, "train")
    mouth = read_mouth_table(clip.mouth_table)
    times_s = np.arange(len(mouth)) / 25
    np.testing.assert_allclose(mouth, spoken.mouth_at(times_s), atol=1e-4)
    info = probe_video(clip.video)
    assert (info.width, info.height, info.fps, info.has_audio) == (96, 96, 25, True)
    samples, sampling_rate = read_audio(clip.speech)
    np.testing.assert_allclose(samples, spoken.samples, atol=1e-4)
    frames = list(read_rgb(clip.video))
    assert len(frames) == len(mouth) == int(len(samples) / sampling_rate * 25)
    identity, poses = draw_identity(seed), draw_motion(seed, times_s)
    widest = int(mouth[:, 0].argmax())
    drawn = render_frame(identity, poses[widest], mouth[widest], 96)
    assert np.abs(frames[widest].astype(int) - drawn).mean() < 4
    assert clip.read_description()["text"] == spoken.text


@needs_espeak
def test_every_frame_has_its_box(corpus):
    clip = corpus[1][0]
    boxes = list(read_detections(clip.boxes, 96, 96, 25))
    assert len(boxes) == len(read_mouth_table(clip.mouth_table))
    assert all(len(faces) == 1 and 40 < faces[0].box.width < 80 for faces in boxes)


@needs_espeak
def test_resumes_without_touching_complete_clips(corpus):
    folder, clips = corpus
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    clips[1].description.unlink()
    done = []
    make_corpus(folder, 2, SETTINGS, on_progress=lambda number, total: done.append((number, total)))
    assert done == [(2, 2)]
    after = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert {path.name for path in before} == {path.name for path in after}
    assert all(after[path] == then for path, then in before.items() if not path.name.startswith(clips[1].name))
    assert [clip.name for clip in find_corpus_clips(folder)] == ["clip_00000", "clip_00001"]


@needs_espeak
def test_other_settings_are_refused(corpus):
    with pytest.raises(Diff2LipError, match="holds a corpus with fps 25, not 30; choose another folder"):
        make_corpus(corpus[0], 2, CorpusSettings(seed=3, size_px=96, fps=30, look="plain"))


def test_splits_share_nobody():
    seeds = {
        split: {clip_seed(CorpusSettings(split=split), index) for index in range(99)} for split in ("train", "test")
    }
    assert not seeds["train"] & seeds["test"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("seed", -1), ("split", "dev"), ("fps", 0), ("size_px", 95), ("size_px", 101), ("crf", 52)],
)
def test_settings_are_checked(field, value):
    with pytest.raises(ValueError, match=f"`{field}` is {value!r}, expected"):
        CorpusSettings(**{field: value})


def test_a_folder_with_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("all my work")
    with pytest.raises(MediaError, match="holds something else; choose a new folder"):
        make_corpus(tmp_path, 1)


def test_no_corpus_is_said_with_the_cure(tmp_path):
    with pytest.raises(MediaError, match="no such corpus folder; make one with: diff2lip make-corpus"):
        find_corpus_clips(tmp_path / "none")
    with pytest.raises(MediaError, match="is not a corpus"):
        find_corpus_clips(tmp_path)
    (tmp_path / "corpus.json").write_text(json.dumps({"version": 1, "fps": 25}))
    with pytest.raises(MediaError, match="without clips"):
        find_corpus_clips(tmp_path)


def test_mouth_tables_are_read_as_they_were_written(tmp_path):
    mouth = np.random.default_rng(0).random((5, 6)).astype(np.float32)
    write_mouth_table(tmp_path / "mouth.csv", 25, mouth)
    assert (tmp_path / "mouth.csv").read_text().splitlines()[0].split(",") == list(COLUMNS)
    np.testing.assert_allclose(read_mouth_table(tmp_path / "mouth.csv"), mouth, atol=5.1e-5)
    (tmp_path / "mouth.csv").write_text("frame,opening\n0,0.5\n")
    with pytest.raises(MediaError, match="it is not a mouth table; make the corpus again"):
        read_mouth_table(tmp_path / "mouth.csv")
