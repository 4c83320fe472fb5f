"""Restorers by file: what is loaded, what is refused, and that the networks run as their authors ran them."""

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from helpers.restorer_files import (
    gfpgan,
    import_spandrel,
    save_restorer,
    tiny_compact,
    tiny_esrgan,
    tiny_restoreformer,
)

from diff2lip_diffusers.errors import Diff2LipError
from diff2lip_diffusers.restoration.restorer_file import load_restorer

import_spandrel()
CPU = torch.device("cpu")


def image(size: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_face_restorer_gets_and_gives_levels_from_minus_one_to_one(tmp_path, suffix):
    """As its authors' inference does."""
    network = tiny_restoreformer()
    restorer = load_restorer(save_restorer(tmp_path / f"face{suffix}", network), CPU)
    pixels = image(64)
    with torch.inference_mode():
        inside = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
        wanted = ((network(inside)[0][0].permute(1, 2, 0) + 1) * 127.5).clamp(0, 255).numpy()
    assert restorer.is_for_faces and restorer.scale == 1
    assert "Apache-2.0" in restorer.notice and restorer.notice.startswith(f"face{suffix}: RestoreFormer")
    np.testing.assert_allclose(restorer(pixels), wanted, atol=0.02)


@pytest.mark.parametrize(("make", "scale", "name"), [(tiny_compact, 2, "Compact"), (tiny_esrgan, 4, "ESRGAN")])
def test_an_enlarger_gets_levels_from_zero_to_one(tmp_path, make, scale, name):
    network = make()
    restorer = load_restorer(save_restorer(tmp_path / "large.pth", network), CPU)
    pixels = image(24)
    with torch.inference_mode():
        planes = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
        reference = load_reference(network)(planes)[0].permute(1, 2, 0).clamp(0, 1).numpy() * 255
    assert (restorer.architecture, restorer.scale, restorer.is_for_faces) == (name, scale, False)
    np.testing.assert_allclose(restorer(pixels), reference, atol=0.02)


def load_reference(network) -> Any:
    import spandrel

    return spandrel.ModelLoader().load_from_state_dict(network.state_dict())


def test_an_enlarger_sees_a_large_face_in_the_size_that_gives_its_own(tmp_path):
    restorer = load_restorer(save_restorer(tmp_path / "large.pth", tiny_esrgan()), CPU)
    sizes = {side: restorer.prepared(image(side)).shape[0] for side in (40, 200, 600, 1000)}
    assert sizes == {40: 40, 200: 128, 600: 150, 1000: 250}


@pytest.mark.slow  # 86 million parameters
def test_gfpgan_gives_the_same_frame_twice(tmp_path):
    network = gfpgan()
    for name, weight in network.named_parameters():
        if name.endswith("modulated_conv.weight") or not name.endswith(".weight") or weight.dim() > 1:
            continue
        torch.nn.init.constant_(weight, 0.3)  # how much noise is added; 0 before training
    restorer = load_restorer(save_restorer(tmp_path / "gfpgan.pth", network), CPU)
    pixels = image(512)
    first = restorer(pixels)
    np.testing.assert_array_equal(first, restorer(pixels))
    with torch.inference_mode():
        inside = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
        fixed, noisy = (network(inside, randomize_noise=noise)[0][0] for noise in (False, True))
    wanted = ((fixed.permute(1, 2, 0) + 1) * 127.5).clamp(0, 255).numpy()
    np.testing.assert_allclose(first, wanted, atol=0.02)
    assert (fixed - noisy).abs().max() > 0.1


class Malicious:
    def __reduce__(self):
        return print, ("code ran",)


def unknown(path):
    torch.save({"weight": torch.zeros(3)}, path)


def malicious(path):
    path.write_bytes(pickle.dumps({"weight": Malicious()}))


def gray(path):
    save_restorer(path, tiny_compact(channels=1))


def cut_short(path):
    whole = save_restorer(path, tiny_compact()).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def other_shapes(path):
    tensors = dict(tiny_restoreformer().state_dict())
    tensors["decoder.conv_out.weight"] = torch.zeros(1)
    torch.save(tensors, path)


@pytest.mark.parametrize(
    ("make", "name", "reason"),
    [
        (unknown, "a.pth", "is no restorer of a known architecture; pass weights of GFPGAN"),
        (malicious, "a.pth", "not loaded: it contains more than tensors"),
        (gray, "a.safetensors", "is a Compact that cannot improve a face in color"),
        (cut_short, "a.pth", "cannot be read: it is truncated"),
        (cut_short, "a.safetensors", "cannot be read: it is truncated"),
        (other_shapes, "a.pth", "has the names of a restorer, but not its tensors"),
        (lambda path: path.write_text("x"), "a.onnx", "is no file of weights; pass one that ends in"),
        (lambda path: None, "a.pth", "no such checkpoint file"),
        (lambda path: None, "a.safetensors", "no such file of weights"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, capfd, make, name, reason):
    make(tmp_path / name)
    with pytest.raises(Diff2LipError, match=reason) as caught:
        load_restorer(tmp_path / name, CPU)
    assert str(caught.value).startswith(str(tmp_path / name)) and "\n" not in str(caught.value)
    assert "code ran" not in capfd.readouterr().out
