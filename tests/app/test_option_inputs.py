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
    assert options_from(["num_inference_steps", "length", "rest", "eta"], [" 4", BY_DEFAULT, True, "0"]) == {
        "num_inference_steps": 4,
        "rest": True,
    }
    SyncOptions(**options_from(["seed", "detail", "eta"], ["11", "video", "0.5"]))


@pytest.mark.parametrize("text", ["many", "-1", "0", "1e999", "nan", "9" * 400, "<b>", "2.5"])
def test_a_text_that_is_no_number_is_one_line(text):
    with pytest.raises(ValueError, match="num inference steps is .*, expected a whole number above 0"):
        options_from(["num_inference_steps"], [text])


def test_an_input_has_the_kind_of_its_option():
    assert isinstance(option_input("num_inference_steps", OPTIONS["num_inference_steps"]), gr.Textbox)
    assert isinstance(option_input("rest", OPTIONS["rest"]), gr.Checkbox)
    assert option_input("length", OPTIONS["length"]).value == BY_DEFAULT
