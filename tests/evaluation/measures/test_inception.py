import logging

import numpy as np
import pytest
import torch
from helpers.recorded import DATA
from helpers.recorded_inception import SIZES, SUBSET_SIZE, SUBSETS, images, made_up_weight, two_sets

from diff2lip_diffusers.errors import CheckpointError, MediaError
from diff2lip_diffusers.evaluation.measures.feature_distances import Moments, frechet_distance, kernel_distance
from diff2lip_diffusers.evaluation.measures.inception import InceptionFeatures, load_inception

RECORDED = np.load(DATA / "inception.npz")


@pytest.fixture(scope="module")
def weights():
    """The weights of the recording, with the classes that the file has beside."""
    shapes = {name: tuple(tensor.shape) for name, tensor in InceptionFeatures().state_dict().items()}
    shapes |= {"fc.weight": (1008, 2048), "fc.bias": (1008,)}
    return {name: torch.from_numpy(made_up_weight(name, shape)) for name, shape in shapes.items() if shape}


@pytest.fixture(scope="module")
def network(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save(weights, path)
    return load_inception(path)


def features(network, pixels):
    return np.concatenate([network(torch.from_numpy(part)).numpy() for part in np.array_split(pixels, 6)])


@pytest.mark.parametrize("name", SIZES)
def test_features_are_torch_fidelitys(network, name):
    found = network(torch.from_numpy(images(0, 1, *SIZES[name])))
    np.testing.assert_allclose(found.numpy(), RECORDED[f"features_{name}"], rtol=1e-4, atol=1e-5)


def test_fid_and_kid_of_two_small_sets_are_torch_fidelitys_own(network):
    one, other = (features(network, pixels) for pixels in two_sets())
    moments = Moments(2048), Moments(2048)
    for part, side in zip((one, other), moments, strict=True):
        for rows in np.array_split(part, 3):
            side.add(rows)
    assert frechet_distance(*moments) == pytest.approx(float(RECORDED["fid"]), rel=1e-5)
    found = kernel_distance(one.__getitem__, other.__getitem__, len(one), len(other), SUBSET_SIZE, SUBSETS)
    assert found == pytest.approx(float(RECORDED["kid"]), rel=1e-4)


def test_another_file_is_one_line(weights, tmp_path):
    first, *names = weights
    cases = {
        "torchvision.pth": ({**weights, "AuxLogits.conv0.conv.weight": torch.zeros(1)}, "unexpected AuxLogits"),
        "less.pth": ({name: weights[name] for name in names}, f"is no Inception network .* missing {first}"),
        "wide.pth": ({**weights, first: torch.zeros(1)}, f"{first} has the shape \\(1,\\)"),
        "list.pth": ([1], "holds no named tensors"),
        "code.pth": (torch.nn.Linear(1, 1), "cannot be read as weights of Inception"),
    }
    for name, (content, message) in cases.items():
        torch.save(content, tmp_path / name)
        with pytest.raises(CheckpointError, match=message) as error:
            load_inception(tmp_path / name)
        assert "weights-inception-2015-12-05-6726825d.pth" in str(error.value)
        assert str(error.value).startswith(str(tmp_path / name)) and "\n" not in str(error.value)
        (tmp_path / name).unlink()
    with pytest.raises(MediaError, match="no such file; name weights-inception"):
        load_inception(tmp_path / "none.pth")


def test_other_weights_of_the_same_network_are_named_in_the_log(weights, tmp_path, caplog):
    torch.save(weights, tmp_path / "mine.pth")
    with caplog.at_level(logging.WARNING):
        load_inception(tmp_path / "mine.pth")
        load_inception(tmp_path / "mine.pth")
    assert [record.getMessage().partition(" begins")[0] for record in caplog.records] == [
        f"{tmp_path / 'mine.pth'}: its SHA-256"
    ]
