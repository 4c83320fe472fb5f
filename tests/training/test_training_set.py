"""Samples by number: exact frames, their sound, and nothing that a restart or another process changes."""

import json
import sys
import types

import numpy as np
import pytest
import torch
from helpers.training_sets import draw_frame, write_training_set

from diff2lip_diffusers.errors import Diff2LipError, MediaError
from diff2lip_diffusers.media.reader import read_audio, read_rgb
from diff2lip_diffusers.portable.feature_extraction_diff2lip import Diff2LipFeatureExtractor
from diff2lip_diffusers.training.training_clips import (
    find_clips,
    is_held_out,
    read_clip_frames,
    read_frames_decord,
    read_frames_pyav,
)
from diff2lip_diffusers.training.training_set import Augmentation, SampleNumbers, TrainingSet


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_training_set(tmp_path_factory.mktemp("data") / "set")


def test_random_access_gives_the_frames_of_sequential_decoding(folder):
    for clip in find_clips(folder)[0]:
        sequential = np.stack(list(read_rgb(clip.video)))
        assert len(sequential) == clip.frames
        for start in [*range(0, clip.frames, 3), clip.frames - 1]:
            count = min(4, clip.frames - start)
            assert np.array_equal(read_frames_pyav(clip.video, start, count), sequential[start : start + count])


def test_frames_are_those_that_were_written(folder):
    clip = find_clips(folder)[0][1]
    frames = read_clip_frames(clip, 7, 2)
    drawn = np.stack([draw_frame(1, frame, 32) for frame in (7, 8)])
    assert np.abs(frames.permute(0, 2, 3, 1).numpy().astype(int) - drawn).mean() < 4


def test_decord_is_used_where_it_is_asked_for_and_only_then(folder, monkeypatch):
    clip = find_clips(folder)[0][0]
    monkeypatch.setitem(sys.modules, "decord", None)
    with pytest.raises(Diff2LipError, match="'decord', which is not installed"):
        read_frames_decord(clip.video, 0, 2)

    class Reader:
        def __init__(self, path, num_threads):
            self.frames = np.stack(list(read_rgb(path)))

        def __len__(self):
            return len(self.frames)

        def get_batch(self, indices):
            return types.SimpleNamespace(asnumpy=lambda: self.frames[list(indices)])

    monkeypatch.setitem(sys.modules, "decord", types.SimpleNamespace(VideoReader=Reader))
    assert torch.equal(read_clip_frames(clip, 5, 3, "decord"), read_clip_frames(clip, 5, 3, "pyav"))


def test_without_augmentation_a_sample_is_frames_of_a_clip_with_their_windows(folder):
    data = TrainingSet(folder, 32, frames_per_sample=5)
    sample = data[3]
    whole = [data.sized(data.read(index, 0, clip.frames)) for index, clip in enumerate(data.clips)]
    found = [
        (index, start)
        for index, pictures in enumerate(whole)
        for start in range(len(pictures) - 4)
        if torch.equal(pictures[start : start + 5], sample["frames"])
    ]
    assert len(found) == 1
    index, start = found[0]
    clip, everything = data.clips[index], whole[index]
    others = [n for n in range(clip.frames) if torch.equal(everything[n], sample["reference"])]
    assert others and not any(start <= n < start + 5 for n in others)

    extractor = Diff2LipFeatureExtractor()
    windows = extractor(*read_audio(clip.speech), num_frames=clip.frames + 1).mel_windows
    torch.testing.assert_close(sample["mel_windows"], windows[start : start + 5])
    # SyncNet's window begins with its first frame: that is what the next frame's window begins with.
    torch.testing.assert_close(sample["sync_mel"], windows[start + 1])
    assert sample["noise"].shape == sample["fill"].shape == (3, 32, 32)
    assert abs((sample["noise"] * sample["fill"]).mean()) < 0.1


@pytest.mark.parametrize("augmentation", [Augmentation(0.0, False), Augmentation(0.1, True, 0.2)])
def test_memory_and_files_give_the_same_samples(folder, augmentation):
    settings = {"frames_per_sample": 2, "augmentation": augmentation, "seed": 5}
    files, memory = (TrainingSet(folder, 16, cache=cache, **settings) for cache in ("none", "memory"))
    for number in (0, 1, 12345678):
        for name, values in files[number].items():
            assert torch.equal(values, memory[number][name]), name
    other = TrainingSet(folder, 16, **settings | {"seed": 6})
    assert not torch.equal(files[0]["noise"], other[0]["noise"])


def test_pictures_in_memory_may_be_smaller(folder):
    data = TrainingSet(folder, 16, cache="memory", cache_px=20)
    assert data.read(0, 0, 1).shape == (1, 3, 20, 20)
    assert data[0]["frames"].shape == (5, 3, 16, 16)


def test_augmentation_moves_frames_together_and_stays_in_range(folder):
    data = TrainingSet(folder, 32, 2, augmentation=Augmentation(0.2, True, 0.5))
    still = TrainingSet(folder, 32, 2)
    moved = [not torch.equal(data[number]["frames"], still[number]["frames"]) for number in range(4)]
    assert any(moved)
    for number in range(4):
        frames = data[number]["frames"]
        assert frames.amin() >= -1 and frames.amax() <= 1
    # A shift of whole pixels, without change of size, is the same for both frames.
    image = torch.arange(32.0).expand(2, 3, 32, 32).byte()
    first, second = data._cropped(np.random.Generator(np.random.PCG64(1)), image)
    assert torch.equal(first, second) and not torch.equal(first, still.sized(image)[0])


def test_processes_share_the_numbers_that_one_alone_takes():
    def taken(*settings):
        numbers = iter(SampleNumbers(*settings))
        return [next(numbers) for _ in range(8)]

    first, second = taken(100, 2, 0, 2), taken(100, 2, 1, 2)
    assert taken(100, 4) == list(range(100, 108))
    assert first[:4] == [100, 101, 104, 105] and second[:4] == [102, 103, 106, 107]
    assert first[:2] + second[:2] == taken(100, 4)[:4]


def test_identities_are_either_trained_on_or_held_out(folder):
    split = {
        name: {clip.identity for clip in TrainingSet(folder, 32, split=name, held_out_fraction=0.7).clips}
        for name in ("train", "held-out", "all")
    }
    assert split["train"] | split["held-out"] == split["all"] == {"speaker0", "speaker1", "speaker2"}
    assert not split["train"] & split["held-out"]
    shares = [is_held_out(f"person {number}", 0.2) for number in range(2000)]
    assert np.mean(shares) == pytest.approx(0.2, abs=0.03)


def test_what_is_no_training_set_is_one_line(folder, tmp_path):
    def broken(name, **files):
        copy = write_training_set(tmp_path / name, (8,))
        for file, text in files.items():
            (copy / file.replace("__", ".")).write_text(text)
        return copy

    (tmp_path / "empty").mkdir()
    settings = json.loads((folder / "settings.json").read_text())
    cases = [
        (tmp_path / "none", {}, "no such folder"),
        (tmp_path / "empty", {}, "has no settings.json"),
        (broken("no clips", index__jsonl=""), {}, "without clips"),
        (broken("damaged", index__jsonl="{"), {}, "damaged training set"),
        (broken("newer", settings__json=json.dumps(settings | {"version": 2})), {}, "of version 2"),
        (folder, {"held_out_fraction": 1.0}, "of the train part; change `held_out_fraction`"),
        (folder, {"frames_per_sample": 36}, "more than 36 frames; prepare longer"),
    ]
    for path, settings, message in cases:
        with pytest.raises(Diff2LipError, match=message) as caught:
            TrainingSet(path, 32, **settings)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_damaged_files_of_a_clip_are_named(tmp_path):
    data = TrainingSet(write_training_set(tmp_path / "set", (8,)), 32)
    clip = data.clips[0]
    with pytest.raises(MediaError, match=r"mp4: ends before frame 9 of 8"):
        read_clip_frames(clip, 6, 4)
    speech = clip.speech.read_bytes()
    # A chunk that ends behind the file that it is a part of.
    for damaged in (b"RIFF", speech[:4] + b"\x20\0\0\0WAVEjunk\0\1\0\0" + speech[12:]):
        clip.speech.write_bytes(damaged)
        with pytest.raises(MediaError, match=r"wav: cannot be read as a clip's speech \(.+\)"):
            data[0]


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../../x"},
        {"name": "/etc/x"},
        {"name": ""},
        {"name": 5},
        {"frames": -1},
        {"frames": 1e999},
        {"identity": None},
    ],
)
def test_an_index_that_names_what_cannot_be_is_refused(tmp_path, change):
    folder = write_training_set(tmp_path / "set", frames=(4,))
    entry = json.loads((folder / "index.jsonl").read_text())
    (folder / "index.jsonl").write_text(json.dumps(entry | change) + "\n")
    with pytest.raises(MediaError, match="holds a damaged training set"):
        find_clips(folder)
