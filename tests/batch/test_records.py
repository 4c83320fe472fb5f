import copy
import json
import os
import platform
import time
from dataclasses import fields
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.untrained import untrained_pipeline
from peft import LoraConfig

from diff2lip_diffusers import Diff2LipFeatureExtractor, Diff2LipPipeline, FaceBox
from diff2lip_diffusers.batch.pairs import Pair
from diff2lip_diffusers.batch.records import BatchRecords, check_same_settings, fingerprint
from diff2lip_diffusers.errors import Diff2LipError, FaceNotFoundError
from diff2lip_diffusers.lipsync.job import SyncResult
from diff2lip_diffusers.lipsync.options import SyncOptions
from diff2lip_diffusers.media.containers import HARDWARE_DECODERS
from diff2lip_diffusers.portable.unet_diff2lip import Diff2LipUNet2DConditionModel
from diff2lip_diffusers.schedulers import make_scheduler, original_scheduler

PAIR = Pair(Path("faces/v.mp4"), Path("speech/a.wav"), "sub/o.mp4")


def find_nothing(pictures):
    return [[] for _ in pictures]


def leave_alone(face):
    return face


# Another value for each option that decides the output, and what stands for it in the settings.
CHANGED = {
    "hwaccel": (HARDWARE_DECODERS[0], HARDWARE_DECODERS[0]),
    "guidance_scale": (1.5, 1.5),
    "restore_strength": (0.5, 0.5),
    "detail": ("video", "video"),
    "drive": (Path("d.wav"), "d.wav"),
    "rest": (True, True),
    "segments": (Path("s.json"), "s.json"),
    "mask": (Path("m.mp4"), "m.mp4"),
    "keep_occluders": (True, True),
    "max_pixels": (10_000, 10_000),
    "guidance_rescale": (0.5, 0.5),
    "num_inference_steps": (10, 10),
    "seed": (2**64 - 1, 2**64 - 1),
    "eta": (0.5, 0.5),
    "fps": (Fraction(30000, 1001), 30000 / 1001),
    "length": ("audio", "audio"),
    "extend": ("loop", "loop"),
    "box": (FaceBox(1, 2.5, 30, 40), [1, 2.5, 30, 40]),
    "face": ((3, 4.5), [3, 4.5]),
    "pads": ((1, 2, 3, -4), [1, 2, 3, -4]),
    "detector": (find_nothing, "find_nothing"),
    "detection_size": (320, 320),
    "detection_stride": (1, 1),
    "voxceleb2_crop": (True, True),
    "mode": ("random", "random"),
    "restore": (leave_alone, "leave_alone"),
    "codec": ("ffv1", "ffv1"),
    "crf": (0, 0),
    "lossless": (True, True),
    "mark": (False, False),
    "watermark": (True, True),
    "credentials": (Path("c.pem"), "c.pem"),
    "reference": ("best", "best"),
    "reproduce": (True, True),
}


@pytest.fixture
def records(small_pipe):
    return BatchRecords(small_pipe, "host-1-ab", 3)


def settings_of(records: BatchRecords, pair: Pair = PAIR, **options) -> dict:
    return records.settings(pair, SyncOptions(**options))


def through_json(value):
    return json.loads(json.dumps(value))


# Settings


def test_settings_of_defaults_are_the_names_of_the_files_and_the_model(small_pipe, records):
    expected = {"video": "v.mp4", "audio": "a.wav", "model": fingerprint(small_pipe)}
    assert settings_of(records) == expected
    assert settings_of(records, seed=7, fps=None, pads=(0, 0, 0, 0), face="largest") == expected


@pytest.mark.parametrize("name", CHANGED)
def test_an_option_that_decides_the_output_is_in_the_settings(records, name):
    value, expected = CHANGED[name]
    needed = {"detail": "video"} if name == "detail_from" else {}
    settings = settings_of(records, **needed, **{name: value})
    assert settings == settings_of(records) | needed | {name: expected}
    assert through_json(settings) == settings


def test_all_options_but_how_the_work_is_done_decide_the_output(records, tmp_path):
    assert {option.name for option in fields(SyncOptions)} - CHANGED.keys() == {
        "allow_remote",
        "batch_size",
        "cache_dir",
        "cache_gb",
        "detail_from",  # only with `detail`; see below
        "detections",
        "max_duration",
    }
    same = {"batch_size": 9, "detections": tmp_path / "faces.jsonl", "max_duration": 100}
    assert settings_of(records, **same) == settings_of(records)


def test_videos_that_lend_detail_are_in_the_settings(records):
    assert settings_of(records, detail="video", detail_from=["v.mp4"])["detail_from"] == ["v.mp4"]


def test_names_of_files_decide_the_output_and_their_folders_do_not(records):
    assert settings_of(records, Pair(Path("moved/v.mp4"), Path("/a.wav"), "o.mp4")) == settings_of(records)
    assert settings_of(records, Pair(Path("w.mp4"), Path("a.wav"), "o.mp4")) == settings_of(records) | {
        "video": "w.mp4"
    }
    assert settings_of(records, Pair(Path("v.mp4"), Path("b.wav"), "o.mp4")) == settings_of(records) | {
        "audio": "b.wav"
    }
    assert settings_of(records, Pair(Path("v.mp4"), None, "o.mp4")) == settings_of(records) | {"audio": "v.mp4"}


def test_other_kinds_of_one_number_are_the_same_setting(records):
    assert settings_of(records, box=[1, 2, 30, 40]) == settings_of(records, box=FaceBox(1.0, 2.0, 30.0, 40.0))
    assert settings_of(records, face=[3, 4]) == settings_of(records, face=(3.0, 4.0))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"fps": 25}, {"fps": Fraction(25)}),
        ({"fps": 12.5}, {"fps": Fraction(25, 2)}),
        ({"pads": [0, 0, 0, 0]}, {"pads": (0, 0, 0, 0)}),
    ],
    ids=["whole", "half", "defaults in a list"],
)
def test_a_value_from_python_is_the_same_setting_as_from_the_command_line(records, one, other):
    assert settings_of(records, **one) == settings_of(records, **other)


@pytest.mark.parametrize(
    "options",
    [
        {"seed": np.int64(3)},
        {"box": np.array([1, 2, 30, 40])},
        {"eta": np.float32(0.5)},
        {"pads": (np.int64(1), 0, 0, 0)},
    ],
    ids=lambda options: next(iter(options)),
)
def test_numbers_of_numpy_survive_json(records, options):
    record = records.failed(PAIR, SyncOptions(**options), 1000, ValueError("no"))
    assert through_json(record) == record
    plain = {name: np.asarray(value).tolist() for name, value in options.items()}
    assert record["settings"] == settings_of(records, **plain)


def test_a_box_without_end_survives_json(records):
    settings = settings_of(records, box=(0, 0, float("inf"), 40))
    assert through_json(settings) == settings == settings_of(records) | {"box": [0, 0, float("inf"), 40]}


# Fingerprints


def with_half_the_precision(pipe):
    pipe.unet.half()


def with_one_weight_changed(pipe):
    weight = next(iter(pipe.audio_encoder.parameters())).data
    weight.view(-1)[-1] += 1e-6 * weight.abs().max()


def with_a_setting_of_its_scheduler(pipe):
    pipe.scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config, timestep_spacing="trailing")


def with_another_scheduler(pipe):
    pipe.scheduler = make_scheduler("dpmsolver++", pipe.scheduler.config)


def with_other_mel_features(pipe):
    pipe.feature_extractor = Diff2LipFeatureExtractor(preemphasis=0.9)


def with_other_steps(pipe):
    pipe.register_to_config(default_num_inference_steps=24)


def with_more_painted(pipe):
    pipe.register_to_config(painted_fraction=0.6)


def with_config_of_its_own(pipe, **changes):
    unet = Diff2LipUNet2DConditionModel.from_config({**pipe.unet.config, **changes})
    unet.load_state_dict(pipe.unet.state_dict())
    pipe.unet = unet.eval()


def with_other_attention_heads(pipe):
    with_config_of_its_own(pipe, attention_head_dim=32)


def with_larger_crops(pipe):
    with_config_of_its_own(pipe, sample_size=32)


@pytest.mark.parametrize(
    "change",
    [
        with_half_the_precision, with_one_weight_changed, with_a_setting_of_its_scheduler, with_another_scheduler,
        with_other_mel_features, with_other_steps, with_more_painted, with_other_attention_heads,
        with_larger_crops,
    ],
)  # fmt: skip
def test_a_pipeline_that_paints_differently_has_another_fingerprint(small_pipe, change):
    before = fingerprint(small_pipe)
    change(small_pipe)
    assert fingerprint(small_pipe) != before


def test_attention_heads_change_what_is_painted(small_pipe):
    def paint():
        noise = torch.Generator().manual_seed(0)
        frame = np.random.default_rng(0).integers(0, 256, (1, 16, 16, 3), dtype=np.uint8)
        mel = torch.zeros(1, 80, 16)
        return small_pipe(frame, mel_windows=mel, num_inference_steps=2, generator=noise, output_type="np").frames

    before = paint()
    with_other_attention_heads(small_pipe)
    assert np.abs(paint() - before).max() > 0.01


@pytest.mark.parametrize("scheduler", ["ddim", "dpmsolver++", "euler", "pndm"])
def test_a_pipeline_that_is_saved_and_loaded_keeps_its_fingerprint(small_pipe, tmp_path, scheduler):
    small_pipe.scheduler = make_scheduler(scheduler, original_scheduler().config)
    small_pipe.register_to_config(default_num_inference_steps=13)
    small_pipe.save_pretrained(tmp_path)
    assert fingerprint(Diff2LipPipeline.from_pretrained(tmp_path)) == fingerprint(small_pipe)


def test_how_weights_lie_in_memory_does_not_matter(small_pipe):
    before = fingerprint(small_pipe)
    small_pipe.unet.to(memory_format=torch.channels_last)
    for parameter in small_pipe.audio_encoder.parameters():
        parameter.data = parameter.data.T.contiguous().T if parameter.ndim == 2 else parameter.data
    for component in (small_pipe.unet, small_pipe.audio_encoder):
        assert not all(parameter.is_contiguous() for parameter in component.parameters())
    assert fingerprint(small_pipe) == before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_device_does_not_matter(small_pipe):
    before = fingerprint(small_pipe)
    assert fingerprint(small_pipe.to("cuda")) == before


def test_use_does_not_matter(small_pipe):
    before = fingerprint(small_pipe)
    small_pipe.scheduler.set_timesteps(5)
    small_pipe.unet.train().requires_grad_(False)
    assert fingerprint(small_pipe) == fingerprint(copy.deepcopy(small_pipe)) == before


def test_weights_in_any_precision_have_a_fingerprint(small_pipe):
    prints = {fingerprint(small_pipe.to(dtype)) for dtype in (torch.float32, torch.float16, torch.bfloat16)}
    assert len(prints) == 3


def test_guidance_and_adapters_count_and_being_able_to_have_them_does_not(small_pipe):
    before = fingerprint(small_pipe)
    small_pipe.register_to_config(default_guidance_scale=1)
    small_pipe.audio_encoder.register_to_config(has_null_embeds=False)
    assert fingerprint(small_pipe) == before
    prints = [before]
    small_pipe.register_to_config(default_guidance_scale=2)
    prints.append(fingerprint(small_pipe))
    small_pipe.audio_encoder.add_null_embeds(small_pipe.null_audio_embeds())
    prints.append(fingerprint(small_pipe))
    small_pipe.unet.add_adapter(LoraConfig(r=2, target_modules=["to_q"]), "anna")
    prints.append(fingerprint(small_pipe))
    small_pipe.set_adapters("anna", 0.5)
    prints.append(fingerprint(small_pipe))
    small_pipe.disable_lora()
    prints.append(fingerprint(small_pipe))
    assert len(set(prints)) == 6


def test_another_seed_makes_another_model():
    assert fingerprint(untrained_pipeline(16, seed=0)) == fingerprint(untrained_pipeline(16, seed=0))
    assert fingerprint(untrained_pipeline(16, seed=1)) != fingerprint(untrained_pipeline(16, seed=0))


# Records


def test_the_record_of_a_success(records):
    options = SyncOptions(seed=8, box=(1, 2, 30, 40))
    result = SyncResult(Path("x"), 50, 4, Fraction(30000, 1001), 1.66833333, 1.7, {"decode": 0.12345, "paste": 2})
    before_s = time.time()
    record = records.done(PAIR, options, 1000.12345, result, 4321)
    assert before_s - 0.001 <= record["ended_s"] <= time.time() + 0.001
    assert record["peak_memory_mb"] > 50
    assert {name: record[name] for name in record if name not in ("ended_s", "versions", "peak_memory_mb")} == {
        "output": "sub/o.mp4",
        "status": "done",
        "video": "faces/v.mp4",
        "audio": "speech/a.wav",
        "seed": 8,
        "started_s": 1000.123,
        "settings": records.settings(PAIR, options),
        "model": "",
        "process": "host-1-ab",
        "process_index": 3,
        "num_frames": 50,
        "output_bytes": 4321,
        "num_faceless_frames": 4,
        "fps": "30000/1001",
        "duration_s": 1.668,
        "speech_s": 1.7,
        "stage_s": {"decode": 0.123, "paste": 2},
    }
    assert through_json(record) == record


def test_versions_are_those_of_what_is_at_work(records):
    versions = records.failed(PAIR, SyncOptions(), 1000, ValueError())["versions"]
    assert versions["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert versions["python"] == platform.python_version()
    assert set(versions) == {"python", "torch", "diffusers", "av", "diff2lip-diffusers"}


def test_a_model_from_a_folder_is_named(small_pipe, tmp_path):
    small_pipe.save_pretrained(tmp_path)
    records = BatchRecords(Diff2LipPipeline.from_pretrained(tmp_path), "me", 0)
    assert records.failed(PAIR, SyncOptions(), 1000, ValueError())["model"] == str(tmp_path)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FaceNotFoundError(3), str(FaceNotFoundError(3))),
        (RuntimeError("CUDA out of memory.\n  Tried:\r\n\t2 GiB\u2028now"), "CUDA out of memory. Tried: 2 GiB now"),
        (ValueError("\n"), "ValueError"),
        (KeyError(), "KeyError"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_record_of_a_failure_has_its_reason_in_one_line(records, error, reason):
    record = records.failed(Pair(Path("v.mp4"), None, "o.mp4"), SyncOptions(), 1000, error)
    assert (record["status"], record["error"], record["error_type"]) == ("failed", reason, type(error).__name__)
    assert record["video"] == record["audio"] == "v.mp4"
    assert through_json(record) == record


def test_names_of_files_that_are_no_utf_8_survive_json(records):
    pair = Pair(Path(os.fsdecode(b"\xff.mp4")), None, "o.mp4")
    record = records.failed(pair, SyncOptions(), 1000, ValueError(str(pair.video)))
    assert through_json(record) == record and record["error"] == str(pair.video)


# The same settings


def done_with(**settings) -> dict:
    return {"status": "done", "settings": {"video": "v.mp4", "model": "0123", **settings}}


WANTED = {output: done_with()["settings"] for output in ("a.mp4", "b.mp4", "c.mp4")}


def check_differs(done: dict, start: str):
    with pytest.raises(Diff2LipError) as caught:
        check_same_settings(done, WANTED, "out")
    assert str(caught.value) == f"out: {start}; choose another folder, or delete these outputs"


def test_what_is_the_same_is_accepted():
    check_same_settings({}, WANTED, "out")
    check_same_settings(through_json({output: done_with() for output in WANTED}), WANTED, "out")


def test_settings_of_an_older_version_are_compared_by_their_present_names():
    wanted = {"a.mp4": done_with(crf=16)["settings"]}
    check_same_settings({"a.mp4": done_with(quality=16)}, wanted, "out")
    with pytest.raises(Diff2LipError, match="`crf` was 18, now it is 16"):
        check_same_settings({"a.mp4": done_with(quality=18)}, wanted, "out")


def test_settings_that_come_from_json_are_the_same(records):
    contradict = ("voxceleb2_crop", "crf", "restore", "segments", "reproduce", "mode", "lossless")
    settings = settings_of(
        records, **{name: value for name, (value, _) in CHANGED.items() if name not in contradict} | {"length": None}
    )
    check_same_settings(through_json({"a.mp4": {"settings": settings}}), {"a.mp4": settings}, "out")


def test_outputs_that_nobody_wants_may_be_of_any_settings():
    check_same_settings({"a.mp4": done_with(), "z.mp4": done_with(seed=8)}, WANTED, "out")


def test_what_differs_is_told_with_the_number_and_the_first_in_order():
    done = {"c.mp4": done_with(seed=9), "b.mp4": done_with(seed=8), "a.mp4": done_with()}
    check_differs(done, "b.mp4 and 1 more were made with different settings: `seed` was 8, now it is the default")


def test_what_is_chosen_now_and_was_not_is_told():
    with pytest.raises(Diff2LipError, match=r"`box` was the default, now it is \[1, 2, 30, 40\]; choose another"):
        check_same_settings({"a.mp4": done_with()}, {"a.mp4": done_with(box=[1, 2, 30, 40])["settings"]}, "out")


def test_other_files_and_models_are_told():
    start = "a.mp4 was made with different settings: "
    check_differs({"a.mp4": done_with(video="w.mp4")}, f"{start}`video` was w.mp4, now it is v.mp4")
    check_differs({"a.mp4": done_with(model="4567")}, f"{start}the model, sampler or precision changed")


def test_a_record_without_settings_is_of_others():
    with pytest.raises(Diff2LipError, match="`video` was the default, now it is v.mp4"):
        check_same_settings({"a.mp4": {"status": "done"}}, WANTED, "out")


def test_an_option_that_was_set_to_none_is_told():
    with pytest.raises(Diff2LipError, match="`extend`"):
        check_same_settings({"a.mp4": done_with(extend=None)}, WANTED, "out")
