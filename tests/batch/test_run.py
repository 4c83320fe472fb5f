"""Batches in one process: what is done, what fails, what a second call does."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from helpers.batch_pairs import output_names, write_pairs
from helpers.face_videos import write_speech, write_video
from helpers.untrained import untrained_pipeline

from diff2lip_diffusers import (
    BatchResult,
    Diff2LipError,
    MediaError,
    Pair,
    PairListError,
    read_pairs,
    sync_batch,
    sync_video,
)
from diff2lip_diffusers.batch import work_queue
from diff2lip_diffusers.lipsync import face_boxes, source_video
from diff2lip_diffusers.lipsync.sampling import DEFAULT_BATCH_CPU
from diff2lip_diffusers.media.reader import read_rgb
from diff2lip_diffusers.portable.pipeline_diff2lip import Diff2LipPipeline
from diff2lip_diffusers.schedulers import original_scheduler

COUNTS = [9, 14, 5, 11]
OPTIONS = {"num_inference_steps": 1}
SEEDED = {**OPTIONS, "seed": 3}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A list of four pairs."""
    return write_pairs(tmp_path_factory.mktemp("data") / "root", COUNTS)


@pytest.fixture(autouse=True)
def short_wait(monkeypatch):
    """A worker that waits for others, or for the boxes of a split clip, looks again soon."""
    monkeypatch.setattr(work_queue, "WAIT_S", 0.02)


@dataclass(frozen=True)
class Finished:
    """A batch of the four pairs that is done, with seed 3."""

    folder: Path
    result: BatchResult
    progress: list[tuple[int, int, int]]


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory) -> Finished:
    """Shared, so tests that change it take a copy."""
    folder, progress = tmp_path_factory.mktemp("finished") / "out", []
    pipe = untrained_pipeline(sample_size=16)
    pipe.scheduler = original_scheduler()
    result = sync_batch(pipe, read_pairs(data), folder, on_progress=lambda *counts: progress.append(counts), **SEEDED)
    return Finished(folder, result, progress)


@pytest.fixture
def finished_copy(finished, tmp_path) -> Path:
    """A folder with the finished batch in it."""
    return shutil.copytree(finished.folder, tmp_path / "out")


def frames_in(path: Path) -> np.ndarray:
    return np.stack(list(read_rgb(path)))


def results(folder: Path) -> dict[str, dict]:
    records = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    assert len({record["output"] for record in records}) == len(records)
    return {record["output"]: record for record in records}


def touched(folder: Path) -> dict[str, tuple]:
    return {path.name: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.glob("*.mp4")}


def test_each_output_is_that_of_a_single_run(tmp_path, small_pipe, data, finished):
    assert (finished.result.num_done, finished.result.num_failed, finished.result.failures) == (4, 0, [])
    for pair, count in zip(read_pairs(data), COUNTS, strict=True):
        alone = tmp_path / pair.output
        sync_video(small_pipe, pair.video, pair.audio, alone, **SEEDED)
        assert len(frames_in(alone)) == count
        np.testing.assert_array_equal(frames_in(finished.folder / pair.output), frames_in(alone))
    assert sorted(path.name for path in finished.folder.iterdir()) == sorted(
        [".diff2lip", "results.jsonl", *output_names(4)]
    )


def test_order_and_other_pairs_do_not_change_an_output(tmp_path, small_pipe, data, finished):
    pairs = read_pairs(data)
    sync_batch(small_pipe, [pairs[2], pairs[0]], tmp_path, **SEEDED)
    for pair in (pairs[0], pairs[2]):
        np.testing.assert_array_equal(frames_in(finished.folder / pair.output), frames_in(tmp_path / pair.output))


def test_short_clips_share_the_batches_of_the_model(tmp_path, small_pipe, data, monkeypatch):
    sizes = []
    paint = Diff2LipPipeline.__call__

    def counting(self, frames, **arguments):
        sizes.append(len(frames))
        return paint(self, frames, **arguments)

    monkeypatch.setattr(Diff2LipPipeline, "__call__", counting)
    sync_batch(small_pipe, read_pairs(data), tmp_path / "out", batch_size=DEFAULT_BATCH_CPU, **OPTIONS)
    assert sizes == [DEFAULT_BATCH_CPU] * -(-sum(COUNTS) // DEFAULT_BATCH_CPU)


def test_the_records_say_what_was_done(finished):
    record = results(finished.folder)[output_names(4)[1]]
    assert (record["status"], record["num_frames"], record["num_faceless_frames"], record["seed"]) == (
        "done",
        14,
        0,
        3,
    )
    assert record["video"].endswith("face/01.mp4") and record["audio"].endswith("speech/01.wav")
    assert {"speech", "decode", "detect", "crop", "sample", "paste", "encode"} == set(record["stage_s"])
    assert record["settings"]["num_inference_steps"] == 1
    assert {"torch", "diffusers", "diff2lip-diffusers"} < set(record["versions"])
    assert 0 < record["ended_s"] - record["started_s"] < 1000


def test_nothing_is_done_twice(finished_copy, small_pipe, data, monkeypatch):
    before = touched(finished_copy)
    monkeypatch.setattr(Diff2LipPipeline, "__call__", lambda *_args, **_options: pytest.fail("painted"))
    result = sync_batch(small_pipe, read_pairs(data), finished_copy, **SEEDED)
    assert result.num_done == 4
    assert touched(finished_copy) == before


def test_an_output_that_was_deleted_is_made_again(finished_copy, small_pipe, data):
    names, before = output_names(4), touched(finished_copy)
    (finished_copy / names[2]).unlink()
    (finished_copy / "results.jsonl").unlink()
    sync_batch(small_pipe, read_pairs(data), finished_copy, **SEEDED)
    after = touched(finished_copy)
    assert after.keys() == before.keys()
    assert {name for name in names if after[name] != before[name]} == {names[2]}
    assert results(finished_copy).keys() == set(names)


def broken(data: Path, folder: Path) -> list[Pair]:
    """Pairs that work, and one of each kind that does not."""
    good = read_pairs(data)
    wall = write_video(folder / "wall.mp4", [np.full((240, 320, 3), 90, np.uint8)] * 6)
    (folder / "cut.mp4").write_bytes(good[0].video.read_bytes()[:300])
    return [
        *good,
        Pair(wall, good[0].audio, "wall.mp4"),
        Pair(folder / "cut.mp4", good[0].audio, "cut.mp4"),
        Pair(good[0].video, folder / "none.wav", "none.mp4"),
        Pair(wall, None, "mute.mp4"),
    ]


def test_what_fails_does_not_stop_the_others(tmp_path, small_pipe, data, caplog):
    result = sync_batch(small_pipe, broken(data, tmp_path), tmp_path / "out", **OPTIONS)
    assert (result.num_done, result.num_failed) == (4, 4)
    errors = {record["output"]: record["error"] for record in results(tmp_path / "out").values() if "error" in record}
    assert errors == {record["output"]: record["error"] for record in result.failures}
    assert "no face found" in errors["wall.mp4"]
    assert "cut.mp4: " in errors["cut.mp4"]
    assert "none.wav: no such file" in errors["none.mp4"]
    assert "has no audio stream" in errors["mute.mp4"]
    assert not any("\n" in error for error in errors.values())
    assert sorted(path.name for path in (tmp_path / "out").glob("*.mp4")) == output_names(4)
    assert "1 of 8 pairs have files that cannot be read" in caplog.text
    assert not list((tmp_path / "out" / ".diff2lip" / "unfinished").iterdir())


def test_failures_are_tried_again_when_asked(tmp_path, small_pipe, data, monkeypatch):
    tries = []
    tasks = face_boxes.BoxedFrames.__iter__

    def counting(self):
        tries.append(self.source.path.name)
        return tasks(self)

    monkeypatch.setattr(face_boxes.BoxedFrames, "__iter__", counting)
    pairs = [broken(data, tmp_path)[index] for index in (0, 4)]
    sync_batch(small_pipe, pairs, tmp_path / "out", retries=2, **OPTIONS)
    assert sorted(tries) == ["00.mp4"] + ["wall.mp4"] * 3
    assert sync_batch(small_pipe, pairs, tmp_path / "out", retries=2, **OPTIONS).num_failed == 1
    assert len(tries) == 4
    (tmp_path / "wall.mp4").write_bytes(pairs[0].video.read_bytes())
    result = sync_batch(small_pipe, pairs, tmp_path / "out", retry_failed=True, **OPTIONS)
    assert (result.num_done, result.num_failed) == (2, 0)
    assert len(tries) == 5
    assert {record["status"] for record in results(tmp_path / "out").values()} == {"done"}


def test_a_video_of_many_pairs_is_decoded_and_searched_once(tmp_path, small_pipe, monkeypatch):
    film = write_pairs(tmp_path / "root", [12]).parent / "face" / "00.mp4"
    pairs = []
    for index in range(3):
        speech = write_speech(tmp_path / f"{index}.wav", 0.3 + 0.2 * index)
        pairs.append(Pair(film, speech, f"{index}.mp4"))
    decoded, looked = [], []
    read_frames, find_faces = source_video.read_frames, face_boxes.find_faces

    def counting(*arguments):
        for frame in read_frames(*arguments):
            decoded.append(1)
            yield frame

    def searching(*arguments):
        looked.append(1)
        return find_faces(*arguments)

    monkeypatch.setattr(source_video, "read_frames", counting)
    monkeypatch.setattr(face_boxes, "find_faces", searching)
    sync_batch(small_pipe, pairs, tmp_path / "out", **OPTIONS)
    assert (len(decoded), len(looked)) == (12, 1)
    alone = tmp_path / "alone.mp4"
    for pair in pairs:
        sync_video(small_pipe, pair.video, pair.audio, alone, **OPTIONS)
        np.testing.assert_array_equal(frames_in(tmp_path / "out" / pair.output), frames_in(alone))


def test_a_pair_may_have_options_of_its_own(tmp_path, small_pipe, data):
    root = data.parent
    (root / "own.csv").write_text(
        "video,audio,output,box,seed,length\n"
        "face/00.mp4,speech/00.wav,plain.mp4,,,\n"
        "face/00.mp4,speech/00.wav,sub/seed.mp4,,5,\n"
        'face/00.mp4,speech/02.wav,box.mp4,"60,60,180,220",,audio\n'
    )
    sync_batch(small_pipe, read_pairs(root / "own.csv"), tmp_path / "out", **OPTIONS)
    plain, seeded, boxed = (frames_in(tmp_path / "out" / name) for name in ("plain.mp4", "sub/seed.mp4", "box.mp4"))
    assert [len(frames) for frames in (plain, seeded, boxed)] == [9, 9, 5]
    assert np.abs(plain.astype(int) - seeded).max() > 20
    records = results(tmp_path / "out")
    assert records["sub/seed.mp4"]["seed"] == 5
    assert records["box.mp4"]["settings"]["box"] == [60, 60, 180, 220]


def test_outputs_of_other_settings_are_not_taken_for_done(finished_copy, small_pipe, data):
    before = touched(finished_copy)
    with pytest.raises(Diff2LipError, match="made with different settings: `seed` was 3, now it is the default"):
        sync_batch(small_pipe, read_pairs(data), finished_copy, **OPTIONS)
    assert touched(finished_copy) == before


def test_a_strangers_file_is_not_overwritten(tmp_path, small_pipe, data):
    (tmp_path / "out").mkdir()
    stranger = tmp_path / "out" / output_names(4)[3]
    stranger.write_text("precious")
    with pytest.raises(MediaError, match="was not made by a batch"):
        sync_batch(small_pipe, read_pairs(data), tmp_path / "out", **OPTIONS)
    assert stranger.read_text() == "precious"


def test_a_wrong_root_is_found_before_the_work(tmp_path, small_pipe, data):
    with pytest.raises(MediaError, match="all other pairs"):
        sync_batch(small_pipe, read_pairs(data, root=tmp_path), tmp_path / "out", **OPTIONS)


@pytest.mark.parametrize("bad", [{"split": "videos"}, {"seed": "x"}, {"crf": 99}])
def test_bad_options_are_refused(tmp_path, small_pipe, data, bad):
    with pytest.raises(ValueError, match=f"`{next(iter(bad))}` is"):
        sync_batch(small_pipe, read_pairs(data), tmp_path / "out", **bad)
    assert not (tmp_path / "out").exists()


def test_bad_pairs_are_refused(tmp_path, small_pipe, data):
    pair = read_pairs(data)[0]
    with pytest.raises(PairListError, match="same output"):
        sync_batch(small_pipe, [pair, pair], tmp_path / "out")
    with pytest.raises(ValueError, match="line 1: `box` and `voxceleb2_crop` exclude each other"):
        boxed = Pair(pair.video, pair.audio, pair.output, {"box": (0, 0, 99, 99)}, 1)
        sync_batch(small_pipe, [boxed], tmp_path / "out", voxceleb2_crop=True)


def test_a_full_disk_ends_the_run_and_fails_no_pair(tmp_path, small_pipe, data, monkeypatch):
    replace, calls = Path.replace, []

    def full(path, target):
        if path.suffix == ".mp4" and Path(target).parent == tmp_path / "out":
            calls.append(path)
            if len(calls) == 2:
                raise OSError(28, os.strerror(28))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(MediaError, match="No space left on device"):
        sync_batch(small_pipe, read_pairs(data), tmp_path / "out", **OPTIONS)
    monkeypatch.undo()
    assert [record["status"] for record in results(tmp_path / "out").values()] == ["done"]
    assert not list((tmp_path / "out" / ".diff2lip" / "unfinished").iterdir())
    assert sync_batch(small_pipe, read_pairs(data), tmp_path / "out", **OPTIONS).num_done == 4


def test_progress_is_told_to_the_end(finished):
    assert finished.progress[-1] == (4, 0, 0)
    assert all(sum(counts) == 4 for counts in finished.progress)


@pytest.mark.parametrize(
    "options",
    [{}, {"length": "audio"}, {"mode": "random"}, {"mode": "reconstruction"}, {"codec": "ffv1"}, {"detail": "video"}],
    ids=str,
)
def test_a_clip_split_in_parts_is_that_of_one_process(tmp_path, small_pipe, data, monkeypatch, options):
    monkeypatch.setattr("diff2lip_diffusers.batch.split_clip.PART_FRAMES", 4)
    monkeypatch.setattr("diff2lip_diffusers.lipsync.exemplar_windows.STRETCH_FRAMES", 4)
    pair = read_pairs(data)[1]
    suffix = ".mkv" if "codec" in options else ".mp4"
    audio = write_speech(tmp_path / "long.wav", 0.8) if "length" in options else pair.audio
    pairs = [Pair(pair.video, audio, f"out{suffix}")]
    chosen = {"lossless": "codec" not in options, **OPTIONS, **options}
    for split in ("pairs", "frames"):
        assert sync_batch(small_pipe, pairs, tmp_path / split, split=split, **chosen).num_done == 1
    whole, joined = (tmp_path / split / f"out{suffix}" for split in ("pairs", "frames"))
    np.testing.assert_array_equal(frames_in(joined), frames_in(whole))
    first, second = (results(tmp_path / split)[f"out{suffix}"] for split in ("pairs", "frames"))
    for name in ("num_frames", "num_faceless_frames", "fps", "duration_s", "settings"):
        assert first[name] == second[name]
    assert first["stage_s"].keys() == second["stage_s"].keys()
    assert not list((tmp_path / "frames" / ".diff2lip" / "split").iterdir())


def test_a_split_clip_without_a_face_fails(tmp_path, small_pipe, data):
    pairs = broken(data, tmp_path)[3:6]
    result = sync_batch(small_pipe, pairs, tmp_path / "out", split="frames", **OPTIONS)
    assert (result.num_done, result.num_failed) == (1, 2)
    assert {record["output"] for record in result.failures} == {"wall.mp4", "cut.mp4"}


@pytest.mark.parametrize("split", ["pairs", "frames"])
def test_a_video_that_was_cut_short_is_no_success(tmp_path, small_pipe, split):
    pair = read_pairs(write_pairs(tmp_path / "root", [40]))[0]
    whole = pair.video.read_bytes()
    pair.video.write_bytes(whole[: len(whole) // 2])
    result = sync_batch(small_pipe, [pair], tmp_path / "out", split=split, retries=0, **OPTIONS)
    assert "of the 40 frames that its header states; it was cut short" in result.failures[0]["error"]
    assert not list((tmp_path / "out").glob("*.mp4"))
