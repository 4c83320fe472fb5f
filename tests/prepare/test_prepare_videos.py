import json
import os
import shutil
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import psutil
import pytest
import torch
from helpers.prepare_films import FACE, other_place, portrait, write_talk

from diff2lip_diffusers.batch.heartbeat import Heartbeat
from diff2lip_diffusers.errors import Diff2LipError, MediaError
from diff2lip_diffusers.prepare import prepare_videos as module
from diff2lip_diffusers.prepare.clip_files import write_clip_speech
from diff2lip_diffusers.prepare.prepare_options import PrepareOptions
from diff2lip_diffusers.prepare.prepare_videos import prepare_videos
from diff2lip_diffusers.syncnet import SyncNet

OPTIONS = PrepareOptions(size_px=32, min_seconds=0.4)
COUNT = 12


@pytest.fixture(scope="session")
def talk(tmp_path_factory) -> Path:
    return write_talk(tmp_path_factory.mktemp("film") / "talk.mp4", COUNT)


@pytest.fixture
def videos(tmp_path, talk):
    """Puts copies of one film into a folder."""

    def make(*names: str) -> Path:
        for name in names:
            target = tmp_path / "videos" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(talk, target)
            shutil.copy(talk.with_name("talk.boxes.jsonl"), target.with_name(f"{target.stem}.boxes.jsonl"))
        return tmp_path / "videos"

    return make


def index_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "index.jsonl").read_text().splitlines()]


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a set, without what is of this run alone."""
    files = (path for path in folder.rglob("*") if path.is_file() and "processes" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def looked_at(monkeypatch) -> list[str]:
    """The names of the videos that are gone through."""
    names = []
    prepare_video = module.prepare_video

    def remember(video, **arguments):
        names.append(video.name)
        return prepare_video(video, **arguments)

    monkeypatch.setattr(module, "prepare_video", remember)
    return names


def test_a_set_is_what_training_reads(tmp_path, videos):
    progress = []
    report = prepare_videos(
        videos("a.mp4", "b/c.mp4"), tmp_path / "set", OPTIONS, lambda *numbers: progress.append(numbers)
    )
    assert (report.num_videos, report.num_new, report.num_kept, report.kept_s) == (2, 2, 2, 2 * COUNT / 25)
    assert progress == [(1, 2), (2, 2)]
    assert json.loads((tmp_path / "set" / "settings.json").read_text()) == {
        "version": 1,
        "size_px": 32,
        "fps": 25,
        "sampling_rate": 16000,
    }
    assert index_of(tmp_path / "set") == [
        {
            "name": f"{name}_000",
            "frames": COUNT,
            "identity": name,
            "source": str(tmp_path / "videos" / path),
            "start_s": 0.0,
            "confidence": None,
            "offset_frames": None,
        }
        for name, path in (("a", "a.mp4"), ("b-c", "b/c.mp4"))
    ]
    clips = {path.name for path in (tmp_path / "set" / "clips").iterdir()}
    assert clips == {"a_000.mp4", "a_000.wav", "b-c_000.mp4", "b-c_000.wav"}


def test_the_person_can_be_that_of_a_folder(tmp_path, videos):
    folder = videos("ann/1.mp4", "ann/2.mp4", "bob/1.mp4")
    prepare_videos(folder, tmp_path / "set", PrepareOptions(size_px=32, min_seconds=0.4, identity="folder"))
    assert [(clip["name"], clip["identity"]) for clip in index_of(tmp_path / "set")] == [
        ("ann-1_000", "ann"),
        ("ann-2_000", "ann"),
        ("bob-1_000", "bob"),
    ]


@pytest.mark.slow
def test_processes_make_the_same_set_as_one(tmp_path, videos):
    folder = videos("a.mp4", "b.mp4", "c.mp4")
    (folder / "broken.mp4").write_bytes(b"no video")
    prepare_videos(folder, tmp_path / "one", OPTIONS)
    report = prepare_videos(folder, tmp_path / "two", PrepareOptions(size_px=32, min_seconds=0.4, workers=2))
    assert (report.num_kept, report.dropped) == (3, {"unreadable": 1})
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


# Resuming


def test_finished_videos_are_not_read_again(tmp_path, videos, looked_at):
    folder, out = videos("a.mp4", "b.mp4"), tmp_path / "set"
    prepare_videos(folder, out, OPTIONS)
    before = contents(out)
    assert prepare_videos(folder, out, OPTIONS).num_new == 0
    assert looked_at == ["a", "b"] and contents(out) == before
    videos("c.mp4")
    assert prepare_videos(folder, out, OPTIONS).num_kept == 3
    assert looked_at == ["a", "b", "c"]


def test_changed_videos_and_lost_clips_are_done_again(tmp_path, videos, looked_at):
    folder, out = videos("a.mp4", "b.mp4", "c.mp4"), tmp_path / "set"
    prepare_videos(folder, out, OPTIONS)
    (folder / "a.mp4").write_bytes(b"no video any more")
    (out / "clips" / "b_000.wav").unlink()
    report = prepare_videos(folder, out, OPTIONS)
    assert looked_at == ["a", "b", "c", "a", "b"]
    assert (report.num_kept, report.dropped) == (2, {"unreadable": 1})
    assert {path.name for path in (out / "clips").iterdir()} == {f"{n}_000.{s}" for n in "bc" for s in ("mp4", "wav")}
    assert {path.name for path in (out / "report").iterdir()} == {"b_000.jpg", "c_000.jpg"}


def test_another_folder_of_videos_adds_to_the_set(tmp_path, videos):
    folder = videos("one/a.mp4", "two/b.mp4")
    prepare_videos(folder / "one", tmp_path / "set", OPTIONS)
    assert prepare_videos([folder / "two"], tmp_path / "set", OPTIONS).num_kept == 2
    assert [clip["identity"] for clip in index_of(tmp_path / "set")] == ["a", "b"]


def test_an_interrupted_run_is_resumed(tmp_path, videos, monkeypatch, looked_at):
    folder, out = videos("a.mp4", "b.mp4", "c.mp4"), tmp_path / "set"
    prepare_videos(folder, tmp_path / "whole", OPTIONS)
    looked_at.clear()

    def interrupted(path, samples):
        if path.name == "b_000.wav":
            raise KeyboardInterrupt
        write_clip_speech(path, samples)

    with monkeypatch.context() as patch:
        patch.setattr("diff2lip_diffusers.prepare.prepare_video.write_clip_speech", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare_videos(folder, out, OPTIONS)
    assert {path.name for path in (out / "clips").iterdir()} == {"a_000.mp4", "a_000.wav"}
    assert not (out / "index.jsonl").exists() and not any((out / ".diff2lip" / "unfinished").iterdir())
    prepare_videos(folder, out, OPTIONS)
    assert looked_at == ["a", "b", "b", "c"]
    assert contents(out) == contents(tmp_path / "whole")


@pytest.mark.slow
def test_a_killed_run_is_resumed(tmp_path, videos):
    folder, out = videos(*(f"{number}.mp4" for number in range(12))), tmp_path / "set"
    prepare_videos(folder, tmp_path / "whole", OPTIONS)
    script = "if True:\n" + "\n".join(
        [
            "    import sys",
            "    from diff2lip_diffusers.prepare.prepare_options import PrepareOptions",
            "    from diff2lip_diffusers.prepare.prepare_videos import prepare_videos",
            "    if __name__ == '__main__':",
            "        options = PrepareOptions(size_px=32, min_seconds=0.4, workers=2)",
            "        prepare_videos(sys.argv[1], sys.argv[2], options)",
        ]
    )
    (tmp_path / "run.py").write_text(script)
    process = subprocess.Popen([sys.executable, tmp_path / "run.py", folder, out])
    records = out / ".diff2lip" / "videos"
    while not (records.is_dir() and any(records.iterdir())):
        assert process.poll() is None
        time.sleep(0.02)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not psutil.wait_procs(workers, timeout=30)[1]
    done = len(list(records.iterdir()))
    assert 0 < done < 12 and not (out / "index.jsonl").exists()
    report = prepare_videos(folder, out, OPTIONS)
    assert report.num_new <= 12 - done
    assert contents(out) == contents(tmp_path / "whole")


# The page


class Page(HTMLParser):
    def __init__(self, path: Path):
        super().__init__()
        self.images, self.links, self.texts, self.open = [], [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "img":
            self.images.append(attributes["src"])
        elif tag == "a":
            self.links.append(attributes["href"])
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data.strip())


def test_the_page_shows_all_that_was_kept_and_dropped(tmp_path, videos):
    folder = videos("ann's <b>#1.mp4", "b.mp4")
    (folder / "broken & lost.mp4").write_bytes(b"no video")
    frames = [portrait()] * 12 + [other_place()] * 6 + [255 - portrait()] * 4
    write_talk(folder / "cuts.mp4", frames=frames, boxes=[FACE] * 12 + [None] * 6 + [FACE] * 4)
    write_talk(folder / "mute.mp4", COUNT, speech=None)
    report = prepare_videos(folder, tmp_path / "set", OPTIONS)
    assert report.dropped == {"unreadable": 1, "no face": 1, "too short": 1, "no sound": 1}
    page = Page(report.report)
    assert not page.open
    places = [tmp_path / "set" / unquote(path) for path in page.images + page.links]
    assert all(path.is_file() and not unquote(str(path)).startswith("/report") for path in places)
    assert {path.name for path in places if path.suffix == ".jpg"} == set(os.listdir(tmp_path / "set" / "report"))
    assert {path.name for path in places if path.suffix != ".jpg"} == set(os.listdir(tmp_path / "set" / "clips"))
    assert not any(path.startswith(("/", "http", "file")) for path in page.images + page.links)
    assert len(page.images) == 6 and len(page.links) == 6
    texts = " | ".join(filter(None, page.texts))
    assert "| 5 | videos | 3 | people kept | 3 | clips kept |" in texts
    for reason, detail in (
        ("unreadable", "broken & lost.mp4: is not a video"),
        ("no face", "mtcnn found no face"),
        ("too short", "0.16 s, expected at least 0.4 s"),
        ("no sound", "the video is silent, and there is no mute.wav beside it"),
    ):
        assert f"1 | dropped: {reason}" in texts and f"Dropped: {reason} | (1)" in texts and detail in texts
    assert "no image" in texts and "size_px | 32" in texts


# What goes wrong


def test_nothing_kept_is_told_and_shown(tmp_path, videos):
    (videos("a.mp4") / "a.mp4").write_bytes(b"no video")
    report = prepare_videos(tmp_path / "videos", tmp_path / "set", OPTIONS)
    assert (report.num_kept, report.dropped) == (0, {"unreadable": 1})
    assert (tmp_path / "set" / "index.jsonl").read_text() == "" and "Kept: nothing" in report.report.read_text()


def test_other_options_are_refused(tmp_path, videos):
    folder, out = videos("a.mp4"), tmp_path / "set"
    prepare_videos(folder, out, OPTIONS)
    before = contents(out)
    with pytest.raises(
        Diff2LipError, match="^[^\n]*set: was made with different options: `size_px` was 32, now it is 48; name"
    ):
        prepare_videos(folder, out, PrepareOptions(size_px=48, min_seconds=0.4))
    assert contents(out) == before
    prepare_videos(folder, out, PrepareOptions(size_px=32, min_seconds=0.4, workers=3))


def test_a_folder_of_something_else_is_left_alone(tmp_path, videos):
    folder = videos("a.mp4")
    before = contents(folder)
    with pytest.raises(MediaError, match="videos: is neither empty nor a training set; name a new folder"):
        prepare_videos(folder, folder, OPTIONS)
    with pytest.raises(MediaError, match="a.mp4: is a file; name a folder"):
        prepare_videos(folder, folder / "a.mp4", OPTIONS)
    assert contents(folder) == before


def test_nothing_is_made_for_sources_that_are_not_there(tmp_path):
    (tmp_path / "empty").mkdir()
    for source, message in (("empty", "empty: has no video"), ("nowhere", "nowhere: no such file or folder")):
        with pytest.raises(MediaError, match=message):
            prepare_videos(tmp_path / source, tmp_path / "set", OPTIONS)
    assert not (tmp_path / "set").exists()


def test_a_second_process_is_refused(tmp_path, videos):
    folder, out = videos("a.mp4"), tmp_path / "set"
    prepare_videos(folder, out, OPTIONS)
    with Heartbeat(out / ".diff2lip"):
        with pytest.raises(MediaError, match="set: another process is working on it; wait until it ends"):
            prepare_videos(folder, out, OPTIONS)
    prepare_videos(folder, out, OPTIONS)


def test_a_full_disk_ends_the_run(tmp_path, videos, monkeypatch):
    folder, out = videos("a.mp4", "b.mp4"), tmp_path / "set"

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("diff2lip_diffusers.prepare.clip_files.wave.open", full)
    with pytest.raises(MediaError, match="^[^\n]*cannot be written: No space left on device"):
        prepare_videos(folder, out, OPTIONS)
    assert not any((out / "clips").iterdir()) and not (out / "index.jsonl").exists()


# Sync


@pytest.fixture(scope="session")
def syncnet(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("nets") / "sync"
    torch.manual_seed(0)
    SyncNet(block_out_channels=(2, 2, 2, 2, 2), embed_dim=4).save_pretrained(folder)
    return folder


def test_a_syncnet_measures_each_clip(tmp_path, syncnet):
    """Whatever offset the untrained network finds, at least half of the 16 windows overlap: 12 frames of 20 remain."""
    film = write_talk(tmp_path / "a.mp4", 20)
    prepare_videos(film, tmp_path / "set", PrepareOptions(size_px=32, min_seconds=0.4, syncnet=syncnet))
    (clip,) = index_of(tmp_path / "set")
    assert np.isfinite(clip["confidence"]) and clip["confidence"] >= 0 and abs(clip["offset_frames"]) <= 8
    assert clip["frames"] >= 12
    with pytest.raises(Diff2LipError, match="another SyncNet, or none"):
        prepare_videos(film, tmp_path / "set", OPTIONS)


def test_what_is_no_syncnet_is_said_first(tmp_path, videos):
    folder = videos("a.mp4")
    for place, message in ((folder, "videos: has no config.json"), (tmp_path / "nowhere", "nowhere: ")):
        options = PrepareOptions(size_px=32, min_seconds=0.4, syncnet=place)
        with pytest.raises(Diff2LipError, match=f"^[^\n]*{message}[^\n]*$"):
            prepare_videos(folder, tmp_path / "set", options)
    assert not (tmp_path / "set").exists()


def flip(path: Path):
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize("has_sizes", [True, False], ids=["with sizes", "of an older version"])
@pytest.mark.parametrize("suffix", [".mp4", ".wav"])
def test_clips_that_were_cut_short_are_made_again(tmp_path, videos, looked_at, suffix, has_sizes):
    prepare_videos(videos("a.mp4", "b.mp4"), tmp_path / "set", OPTIONS)
    before = contents(tmp_path / "set" / "clips")
    for record in (tmp_path / "set").glob(".diff2lip/videos/*.json"):
        kept = json.loads(record.read_text())
        assert set(kept["sizes"]) == {f"{kept['name']}_000.mp4", f"{kept['name']}_000.wav"}
        record.write_text(json.dumps(kept if has_sizes else {key: kept[key] for key in kept if key != "sizes"}))
    del looked_at[:]
    prepare_videos(tmp_path / "videos", tmp_path / "set", OPTIONS)
    assert looked_at == []
    flip(tmp_path / "set" / "clips" / f"a_000{suffix}")
    prepare_videos(tmp_path / "videos", tmp_path / "set", OPTIONS)
    assert len(looked_at) == 1 and contents(tmp_path / "set" / "clips") == before


@pytest.mark.parametrize("damage", [{"clips": 5}, {"clips": [{"name": "../../x"}]}, {"stamp": None}, {"dropped": [1]}])
def test_a_damaged_record_means_that_its_video_is_read_again(tmp_path, videos, damage):
    prepare_videos(videos("a.mp4"), tmp_path / "set", OPTIONS)
    before = contents(tmp_path / "set")
    record = tmp_path / "set" / ".diff2lip" / "videos" / "a.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | damage))
    prepare_videos(tmp_path / "videos", tmp_path / "set", OPTIONS)
    assert contents(tmp_path / "set") == before
