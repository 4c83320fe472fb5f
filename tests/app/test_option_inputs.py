"""Inputs of the page for the options of a job."""

import pytest

from diff2lip_diffusers.lipsync.options import OPTIONS, SyncOptions

gr = pytest.importorskip("gradio")

from diff2lip_diffusers.app.option_inputs import BY_DEFAULT, option_input, options_from, shown_options  # noqa: E402


def test_options_of_one_pair_are_shown_unless_they_are_files_or_places():
    shown = shown_options()
    assert {"num_inference_steps", "guidance_scale", "length", "extend", "detail", "rest", "crf"} <= set(shown)
    assert not {"mark", "segments", "mask", "box", "detections", "max_duration", "batch_size"} & set(shown)


def test_untouched_inputs_say_nothing_and_others_are_valid():
    shown = shown_options()
    untouched = [option_input(name, option).value for name, option in shown.items()]
    assert options_from([*shown], untouched) == {}
    assert options_from(["num_inference_steps", "length", "rest"], [4.0, BY_DEFAULT, True]) == {
        "num_inference_steps": 4,
        "rest": True,
    }
    SyncOptions(**options_from(["seed", "detail", "eta"], [11.0, "video", 0.5]))


def test_an_input_knows_the_limits_of_its_option():
    steps = option_input("num_inference_steps", OPTIONS["num_inference_steps"])
    assert (steps.minimum, steps.maximum, steps.precision) == (1, None, 0)
    assert isinstance(option_input("rest", OPTIONS["rest"]), gr.Checkbox)
    assert option_input("length", OPTIONS["length"]).value == BY_DEFAULT
