from fractions import Fraction

import numpy as np
import pytest
import torch
from helpers.evaluation_networks import MeansOfVideo, write_i3d

from diff2lip_diffusers.errors import CheckpointError, MediaError
from diff2lip_diffusers.evaluation.aligned_frames import AlignedFrame, NotMeasurable
from diff2lip_diffusers.evaluation.clips import Clip
from diff2lip_diffusers.evaluation.measures.group import ClipView
from diff2lip_diffusers.evaluation.measures.stored_features import (
    OUTPUT,
    REFERENCE,
    ReferenceFeatures,
    features_file,
)
from diff2lip_diffusers.evaluation.measures.video_features import VideoFeaturesGroup, load_i3d


@pytest.fixture
def network(tmp_path):
    return load_i3d(write_i3d(tmp_path / "i3d.pt"))


def group_of(network, folder, frames):
    view = ClipView(Clip("a", {}, folder / "a.mp4"), "ours", Fraction(25), [], True, folder / "ours")
    group = VideoFeaturesGroup(view, network, ReferenceFeatures())
    for index, pixels in enumerate(frames):
        group.add(AlignedFrame(index, pixels, 255 - pixels, None))
    return group


def test_windows_of_16_frames_follow_each_other_in_minus_1_to_1(network, tmp_path):
    colors = np.random.default_rng(0).integers(0, 256, (39, 3), np.uint8)
    frames = [np.full((30, 50, 3), color, np.uint8) for color in colors]
    assert group_of(network, tmp_path, frames).values() == {}
    expected = (colors[:32] / 127.5 - 1).reshape(2, 16, 3).transpose(0, 2, 1).reshape(2, 48)
    for side, sign in ((OUTPUT, 1), (REFERENCE, -1)):
        found = np.load(features_file(tmp_path / "ours", "fvd", side))
        np.testing.assert_allclose(found, sign * expected, atol=1e-5)


def test_a_clip_of_less_than_16_frames_is_too_short(network, tmp_path):
    with pytest.raises(NotMeasurable, match="too short, FVD needs 16 frames"):
        group_of(network, tmp_path, [np.zeros((30, 50, 3), np.uint8)] * 15).values()


class WithoutFlags(torch.nn.Module):
    def forward(self, x):
        return x


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_another_file_is_one_line(tmp_path):
    torch.save(MeansOfVideo().state_dict(), tmp_path / "weights.pt")
    (tmp_path / "text.pt").write_text("no")
    torch.jit.save(torch.jit.script(WithoutFlags()), tmp_path / "other.pt")
    cases = {
        "weights.pt": "is no TorchScript file",
        "text.pt": "is no TorchScript file",
        "other.pt": "its forward has no rescale, resize, return_features",
    }
    for name, message in cases.items():
        with pytest.raises(CheckpointError, match=message) as error:
            load_i3d(tmp_path / name)
        assert str(error.value).startswith(str(tmp_path / name)) and "\n" not in str(error.value)
    with pytest.raises(MediaError, match="no such file; name i3d_torchscript.pt"):
        load_i3d(tmp_path / "none.pt")
