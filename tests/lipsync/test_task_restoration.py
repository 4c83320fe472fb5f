"""A restorer at work in a job: where it acts, how strongly, and that nothing but the frames decides on the result."""

import numpy as np
import pytest
import torch
from helpers.face_videos import WOMAN, WOMAN_FACE, on_background, pipeline_that, write_speech, write_video
from helpers.restorer_files import import_spandrel, save_restorer, tiny_compact, tiny_restoreformer

from diff2lip_diffusers import FaceBox, Pair, sync_batch, sync_video
from diff2lip_diffusers.cli.options import show_restorer
from diff2lip_diffusers.errors import Diff2LipError
from diff2lip_diffusers.lipsync import exemplar_windows, task_restoration
from diff2lip_diffusers.lipsync.options import SyncOptions
from diff2lip_diffusers.media.reader import read_rgb

import_spandrel()
COUNT, X, Y = 4, 200, 60
LARGE = pytest.mark.slow  # sees 512 x 512 pixels
FACE = FaceBox(WOMAN_FACE.x1 + X, WOMAN_FACE.y1 + Y, WOMAN_FACE.x2 + X, WOMAN_FACE.y2 + Y)
EXACT = {"box": FACE, "codec": "ffv1"}


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    folder = tmp_path_factory.mktemp("film")
    frames = [on_background([(WOMAN, X, Y + index % 2)]) for index in range(COUNT)]
    return write_video(folder / "face.mp4", frames, crf=2), write_speech(folder / "speech.wav", 1)


@pytest.fixture
def painting(small_pipe):
    def dark_mouth(crops):
        crops = crops.copy()
        crops[:, 11:14, 5:11] *= 0.2
        return crops

    return pipeline_that(dark_mouth, small_pipe)


def made(pipe, film, output, **options) -> list[np.ndarray]:
    video, speech = film
    sync_video(pipe, video, speech, output, **EXACT, **options)
    return [frame.astype(int) for frame in read_rgb(output)]


@pytest.mark.parametrize("make", [pytest.param(tiny_restoreformer, marks=LARGE), tiny_compact])
def test_only_what_was_painted_is_restored(tmp_path, painting, film, make):
    restorer = save_restorer(tmp_path / "restorer.safetensors", make())
    plain = made(painting, film, tmp_path / "plain.mkv")
    full = made(painting, film, tmp_path / "full.mkv", restore=restorer)
    half = made(painting, film, tmp_path / "half.mkv", restore=str(restorer), restore_strength=0.5)
    none = made(painting, film, tmp_path / "none.mkv", restore="not there", restore_strength=0)
    assert np.array_equal(none, plain)
    change = np.abs(np.subtract(full, plain)).max(axis=(0, 3))
    mouth = change[FACE.y1 + 90 : FACE.y1 + 115, FACE.x1 + 35 : FACE.x1 + 65]
    assert mouth.mean() > 2
    changed_rows, changed_columns = np.nonzero(change > 1)
    reach = 2  # of a color sample, which neighbors share
    assert changed_rows.min() >= (FACE.y1 + FACE.y2) // 2 - reach and changed_rows.max() < FACE.y2 + reach
    assert changed_columns.min() >= FACE.x1 - reach and changed_columns.max() < FACE.x2 + reach
    between = np.subtract(half, np.add(full, plain) / 2)
    assert np.abs(between).mean() < 0.1


def test_parts_of_a_clip_are_restored_as_the_whole_is(tmp_path, small_pipe, film, monkeypatch):
    """Several stretches; one process paints whole clips, another one parts of them."""
    from diff2lip_diffusers.batch import split_clip

    for module in (exemplar_windows, task_restoration):
        monkeypatch.setattr(module, "STRETCH_FRAMES", 2)
    monkeypatch.setattr(split_clip, "PART_FRAMES", 2)
    restorer = save_restorer(tmp_path / "restorer.safetensors", tiny_compact())
    options = {"restore": restorer, "num_inference_steps": 1, "length": "video", **EXACT}
    pair = Pair(film[0], film[1], "clip.mkv")
    for split in ("pairs", "frames"):
        for detail in ("video", "none"):
            result = sync_batch(
                small_pipe, [pair], tmp_path / f"{split} {detail}", split=split, detail=detail, **options
            )
            assert (result.num_done, result.num_failed) == (1, 0), result.failures
    for detail in ("video", "none"):
        whole, joined = (list(read_rgb(tmp_path / f"{split} {detail}/clip.mkv")) for split in ("pairs", "frames"))
        assert len(whole) == COUNT
        np.testing.assert_array_equal(whole, joined)


def test_a_file_of_no_restorer_fails_before_anything_is_written(tmp_path, painting, film):
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    message = "other.pth: is no restorer of a known architecture"
    with pytest.raises(Diff2LipError, match=message):
        made(painting, film, tmp_path / "out.mkv", restore=tmp_path / "other.pth")
    with pytest.raises(Diff2LipError, match=message):
        sync_batch(
            painting, [Pair(film[0], film[1], "a.mkv")], tmp_path / "batch", restore=tmp_path / "other.pth", **EXACT
        )
    assert not (tmp_path / "out.mkv").exists() and not (tmp_path / "batch").exists()


def test_the_license_is_told_to_users(tmp_path, capfd):
    restorer = save_restorer(tmp_path / "mine.pth", tiny_compact())
    show_restorer(SyncOptions(restore=restorer), "cpu")
    show_restorer(SyncOptions(), "cpu")
    assert capfd.readouterr().err == "mine.pth: Compact, license BSD-3-Clause\n"
