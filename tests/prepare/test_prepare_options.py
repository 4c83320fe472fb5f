import math

import pytest

from diff2lip_diffusers.prepare.prepare_options import PrepareOptions
from diff2lip_diffusers.prepare.set_layout import SAMPLES_PER_FRAME


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"size_px": 8}, "`size_px` is 8, expected a whole number of pixels from 16 to 512"),
        ({"size_px": 96.0}, "`size_px` is 96.0, expected a whole number"),
        ({"size_px": True}, "`size_px` is True"),
        ({"min_face_px": math.nan}, "`min_face_px` is nan, expected a number of pixels"),
        ({"min_sharpness": -1}, "`min_sharpness` is -1"),
        ({"min_seconds": 0.1}, "`min_seconds` is 0.1, expected a number of seconds from 0.4"),
        ({"min_seconds": 6}, "`max_seconds` is 10, expected twice `min_seconds` .6. or more"),
        ({"workers": 0}, "`workers` is 0, expected a whole number from 1"),
        ({"workers": None}, "`workers` is None"),
        ({"identity": "face"}, "`identity` is 'face', known are video, folder"),
        ({"detector": "eyes"}, "`detector` is 'eyes', known are mtcnn"),
        ({"min_lse_c": 0.2}, "`min_lse_c` is 0.2, which needs a `syncnet`"),
        ({"syncnet": "net", "min_lse_c": 7}, "`min_lse_c` is 7, expected a number from 0 to 2"),
        ({"pads": (1, 2)}, "`pads` is .1, 2., expected four numbers"),
        ({"detection_stride": 0}, "`detection_stride` is 0, expected a whole number"),
    ],
)
def test_wrong_options_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        PrepareOptions(**wrong)


def test_lengths_in_frames():
    options = PrepareOptions(min_seconds=1.2, max_seconds=4)
    assert (options.min_frames, options.max_frames) == (30, 100)
    assert SAMPLES_PER_FRAME * 25 == 16000


def test_workers_decide_nothing():
    assert PrepareOptions(workers=1).result_options() == PrepareOptions(workers=5).result_options()
    assert PrepareOptions(size_px=64).result_options() != PrepareOptions(size_px=96).result_options()
