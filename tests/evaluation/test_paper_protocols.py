"""A paper's protocol makes the outputs that its modes ask for, and they can be judged."""

import json

import pytest
from helpers.corpus_speech import needs_espeak

from diff2lip_diffusers.batch.pairs import Pair
from diff2lip_diffusers.demo.demo_clip import demo_model_folder
from diff2lip_diffusers.evaluation.drawn_people import draw_people, write_people
from diff2lip_diffusers.evaluation.paper_protocols import PAPER_PROTOCOLS, lip_sync_by_protocol
from diff2lip_diffusers.evaluation.run import evaluate
from diff2lip_diffusers.hub import load_pipeline
from diff2lip_diffusers.schedulers import make_scheduler


@pytest.fixture(scope="module")
def pipe():
    pipe = load_pipeline(demo_model_folder(), device="cpu", dtype="fp32")
    pipe.scheduler = make_scheduler("ddim", pipe.scheduler.config)
    pipe.register_to_config(default_num_inference_steps=2)
    return pipe


@needs_espeak
def test_both_modes_are_made_and_judged(tmp_path, pipe):
    pairs = write_people(tmp_path, draw_people(2, 20), size_px=96)[:1]
    made = lip_sync_by_protocol(pipe, "diff2lip-voxceleb2", pairs, tmp_path / "outputs")
    records = {mode: json.loads(path.read_text()) for mode, path in made.items()}
    assert list(made) == ["cross", "reconstruction"]
    assert records["cross"]["audio"] == str(pairs[0].audio)
    assert records["reconstruction"]["audio"] == str(pairs[0].video)
    assert records["reconstruction"]["settings"]["mode"] == "reconstruction"
    assert records["cross"]["settings"]["reproduce"] is True
    results = evaluate(None, tmp_path / "report", systems=made, measures=("picture", "cost")).results
    assert [system.name for system in results.systems] == list(made)
    assert all(0 < system.summaries["psnr"].mean < 100 for system in results.systems)
    assert all(system.summaries["peak_memory_mb"].mean > 50 for system in results.systems)


def test_protocols_are_named(pipe, tmp_path):
    with pytest.raises(ValueError, match="known are diff2lip-voxceleb2, diff2lip-lrw, wav2lip-unpaired"):
        lip_sync_by_protocol(pipe, "other", [Pair(tmp_path, None, "a.mp4")], tmp_path)
    assert PAPER_PROTOCOLS["wav2lip-unpaired"].modes == ("cross",)
