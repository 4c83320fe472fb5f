"""LPIPS: the layers of the published networks, and the distance worked out step by step."""

import sys

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from diff2lip_diffusers.errors import CheckpointError, Diff2LipError, MediaError
from diff2lip_diffusers.evaluation.perceptual import ALEX, VGG, PerceptualDistance, load_distance


@pytest.fixture
def alex():
    torch.manual_seed(0)
    distance = PerceptualDistance(ALEX, 3)
    for number in range(5):
        distance.get_submodule(f"lin{number}.model.1").weight.data.abs_()
    return distance.eval().requires_grad_(False)


def test_the_layers_are_those_of_the_published_networks():
    # Convolutions of torchvision's AlexNet and VGG-16 have 2,469,696 and 14,714,688 weights and biases.
    for slices, count, heads in ((ALEX, 2_469_696, 1152), (VGG, 14_714_688, 1472)):
        with torch.device("meta"):
            distance = PerceptualDistance(slices, 2)
        assert sum(weight.numel() for weight in distance.net.parameters()) == count
        assert sum(weight.numel() for weight in distance.parameters()) == count + heads
    names = {"net.slice5.28.bias", "lin4.model.1.weight", "net.slice1.0.weight", "net.slice3.14.weight"}
    assert names <= distance.state_dict().keys()


def test_the_distance_is_the_published_formula(alex):
    pictures, others = torch.rand(2, 2, 3, 64, 64) * 2 - 1
    weights = alex.state_dict()
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])

    def features(picture):
        hidden = (picture - shift[:, None, None]) / scale[:, None, None]
        settings = [("1.0", 4, 2, False), ("2.3", 1, 2, True), ("3.6", 1, 1, True), ("4.8", 1, 1, False)]
        for name, stride, padding, pools in [*settings, ("5.10", 1, 1, False)]:
            hidden = F.max_pool2d(hidden, 3, 2) if pools else hidden
            weight, bias = (weights[f"net.slice{name}.{kind}"] for kind in ("weight", "bias"))
            hidden = F.relu(F.conv2d(hidden, weight, bias, stride, padding))
            yield F.normalize(hidden, dim=1)

    expected = sum(
        torch.einsum("nchw,c->nhw", (ours - theirs) ** 2, weights[f"lin{index}.model.1.weight"].flatten()).mean((1, 2))
        for index, (ours, theirs) in enumerate(zip(features(pictures), features(others), strict=True))
    )
    torch.testing.assert_close(alex(pictures, others).flatten(), expected, rtol=1e-4, atol=1e-6)
    assert not alex(pictures, pictures).any()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_weights_by_file(alex, tmp_path, suffix):
    path = tmp_path / f"lpips{suffix}"
    # What the package saves beside: constants, and its heads under a second name.
    extra = {"scaling_layer.shift": torch.zeros(1), "lins.0.model.1.weight": torch.zeros(1, 64, 1, 1)}
    tensors = alex.state_dict() | extra
    save_file(tensors, path) if suffix == ".safetensors" else torch.save(tensors, path)
    loaded = load_distance(path)
    pictures, others = torch.rand(2, 1, 3, 64, 64)
    assert torch.equal(loaded(pictures, others), alex(pictures, others))
    assert not any(weight.requires_grad for weight in loaded.parameters())


def test_what_are_no_weights_is_one_line(alex, tmp_path, monkeypatch):
    tensors = alex.state_dict()
    cases = {
        "none.pt": ({"weight": torch.zeros(1)}, "holds no LPIPS weights"),
        "less.pt": (
            {name: tensors[name] for name in list(tensors)[:-1]},
            "incomplete; make the file .*; missing lin4",
        ),
        "other.pt": (tensors | {"lin4.model.1.weight": torch.zeros(1, 3, 1, 1)}, "of another size"),
    }
    for name, (content, message) in cases.items():
        torch.save(content, tmp_path / name)
        with pytest.raises(CheckpointError, match=message):
            load_distance(tmp_path / name)
    (tmp_path / "bad.safetensors").write_bytes(b"no")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_distance(tmp_path / "bad.safetensors")
    with pytest.raises(MediaError, match="no such"):
        load_distance(tmp_path / "nothing.pt")
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(Diff2LipError, match="'package', which is not installed"):
        load_distance("package")
