"""Controls: videos of drawn people of which it is known how measures must judge them."""

import numpy as np
import pytest
import torch
from helpers.corpus_speech import needs_espeak
from skimage.filters import gaussian

from diff2lip_diffusers.corpus.make_corpus import CorpusSettings, make_corpus
from diff2lip_diffusers.errors import MediaError
from diff2lip_diffusers.evaluation.drawn_people import (
    CONTROLS,
    LATE_FRAMES,
    draw_people,
    write_control,
    write_people,
)
from diff2lip_diffusers.evaluation.gaussian_blur import gaussian_blur
from diff2lip_diffusers.evaluation.measures.choice import DRAWN, DRAWN_SYNCNET
from diff2lip_diffusers.evaluation.offset_check import found_offsets
from diff2lip_diffusers.evaluation.run import evaluate
from diff2lip_diffusers.media.reader import probe_video
from diff2lip_diffusers.syncnet import load_syncnet

MEASURES = ("mouth", "picture", "sharpness", "steadiness", "own_sync")


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """The means of each control, and the report's folder."""
    folder = tmp_path_factory.mktemp("people")
    people = draw_people(2, 30)
    pairs = write_people(folder, people, size_px=96)
    for control in CONTROLS:
        for person in people:
            write_control(folder / control, control, person, folder / "truth", size_px=96)
    systems = {control: folder / control for control in CONTROLS} | {"source": folder / "source"}
    found = evaluate(
        None,
        folder / "report",
        folder / "truth",
        systems,
        truth=folder / "truth",
        own_syncnet=DRAWN,
        measures=MEASURES,
    ).results
    assert not found.problems
    assert [pair.video.name for pair in pairs] == ["clip_00000.mp4", "clip_00001.mp4"]
    return {
        system.name: {name: summary.mean for name, summary in system.summaries.items()} for system in found.systems
    }


@needs_espeak
def test_truth_against_itself_is_perfect(judged):
    truth = judged["truth"]
    assert (truth["psnr"], truth["psnr_painted"]) == (100, 100)
    for name in ("ssim", "ssim_painted", "laplacian_ratio", "high_band_ratio", "seam_ratio", "opening_ratio"):
        assert truth[name] == pytest.approx(1, abs=1e-6)
    for name in ("flicker", "position_jitter", "opening_lag", "lip_leak"):
        assert truth[name] == pytest.approx(0, abs=1e-6)
    assert truth["opening_correlation"] > 0.95
    assert truth["own_offset"] == 0


@needs_espeak
def test_a_shift_is_found(judged):
    assert judged["shifted"]["opening_lag"] == LATE_FRAMES
    assert judged["shifted"]["opening_correlation"] < 0.8
    assert judged["shifted"]["own_offset"] == -LATE_FRAMES  # a late mouth is an early audio


@needs_espeak
def test_blur_lowers_sharpness_and_picture_only(judged):
    blurred, truth = judged["blurred"], judged["truth"]
    assert blurred["laplacian_ratio"] < 0.2 and blurred["high_band_ratio"] < 0.5
    assert blurred["psnr_painted"] < 40 and blurred["ssim_painted"] < 0.98
    assert blurred["opening_lag"] == 0 and blurred["lip_leak"] == 0
    assert blurred["opening_correlation"] > truth["opening_correlation"] - 0.1
    # Encoded twice at 96 pixels, colors are softer still than the blur makes them; at 192 pixels it is 0.98.
    assert 0.75 < blurred["opening_ratio"] < 1.1
    assert abs(blurred["flicker"]) < 0.1 and abs(blurred["position_jitter"]) < 0.1
    assert blurred["own_offset"] == 0
    assert blurred["own_lse_c"] == pytest.approx(truth["own_lse_c"], rel=0.15)


@needs_espeak
def test_a_frozen_mouth_follows_nothing_and_leaks_nothing(judged):
    frozen = judged["frozen"]
    assert abs(frozen["opening_correlation"]) < 0.5
    assert frozen["opening_ratio"] < 0.2
    assert frozen["own_lse_c"] < 0.5 * judged["truth"]["own_lse_c"]
    assert frozen["lip_leak"] == 0
    assert abs(frozen["opening_original"]) < 0.5


@needs_espeak
def test_a_mouth_that_speaks_in_silence_is_caught(judged):
    assert judged["silent"]["lip_leak"] > 0.2
    assert judged["silent"]["own_lse_c"] < 0.5 * judged["truth"]["own_lse_c"]
    assert judged["silent"]["psnr"] == 100


@needs_espeak
def test_an_unchanged_source_follows_its_own_speech(judged):
    assert judged["source"]["opening_original"] > 0.95
    assert judged["source"]["opening_correlation"] < 0.8
    assert "own_lse_c_original" not in judged["truth"]


@needs_espeak
def test_people_are_of_the_test_split():
    with pytest.raises(ValueError, match="expected an odd number"):
        draw_people(2, 40, first_seed=4)
    with pytest.raises(ValueError, match="`count` is 1"):
        draw_people(1, 40)
    with pytest.raises(ValueError, match="expected one of truth, shifted"):
        write_control(None, "louder", None, None)  # pyright: ignore


def test_blur_is_skimages():
    frame = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    theirs = gaussian(frame.astype(float), 1.5, mode="nearest", truncate=3, channel_axis=2)
    assert np.abs(gaussian_blur(frame, 1.5) - theirs).max() < 1


@needs_espeak
def test_a_corpus_is_its_own_truth(tmp_path):
    """Outputs of any name: the person comes from the reference's name, the speech from the audio's."""
    clips = make_corpus(tmp_path / "corpus", 2, CorpusSettings(split="test", size_px=96))
    output = tmp_path / "any.mp4"
    output.write_bytes(clips[0].video.read_bytes())
    found = evaluate(
        output,
        tmp_path / "report",
        clips[0].video,
        audio=clips[1].speech,
        truth=tmp_path / "corpus",
        measures=("mouth",),
    )
    means = {name: summary.mean for name, summary in found.results.systems[0].summaries.items()}
    assert means["opening_original"] > 0.9 > 0.8 > means["opening_correlation"]


def test_a_folder_without_truth_is_refused(tmp_path):
    (tmp_path / "a.mp4").touch()
    with pytest.raises(MediaError, match="has no table of true mouths"):
        evaluate(tmp_path, tmp_path / "report", truth=tmp_path)


@pytest.mark.slow
@needs_espeak
def test_known_offsets_are_found(tmp_path):
    torch.set_num_threads(1)
    syncnet, shifts = load_syncnet(DRAWN_SYNCNET), range(-10, 11)
    clips = make_corpus(tmp_path / "corpus", 20, CorpusSettings(seed=11, split="test", size_px=192))
    found = [found_offsets(syncnet, clip.video, shifts) for clip in clips]
    assert all(probe_video(clip.video).fps == 25 for clip in clips)
    for shift in shifts:
        assert sum(by_shift[shift] == shift for by_shift in found) >= 0.95 * len(found), shift
