"""SyncNet of 2016: recorded outputs of every layer, and what it loads, converts and refuses."""

import pickle

import numpy as np
import pytest
import torch
from helpers.recorded_syncnet2016 import (
    golden,
    made_up_weights,
    manifest_shapes,
    recorded_audio,
    recorded_frames,
    recorded_syncnet,
    write_legacy,
)
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from diff2lip_diffusers.errors import CheckpointError, MediaError
from diff2lip_diffusers.evaluation.syncnet2016.mfcc import mfcc
from diff2lip_diffusers.evaluation.syncnet2016.network import convert_syncnet, load_syncnet2016, tensor_shapes


@pytest.fixture(scope="module")
def syncnet(tmp_path_factory):
    return recorded_syncnet(tmp_path_factory.mktemp("weights"))


def check_probe(layers, run, name: str) -> None:
    """Compares numbers of every layer's output, and its first values.

    What a batch normalization gave was changed in place by most ReLUs before its first values were recorded.
    """
    stats, first = golden()[f"a_probe_{name}_stats"], golden()[f"a_probe_{name}_first16"]
    hooks = [layer.register_forward_hook(lambda *arguments: outputs.append(arguments[-1].clone())) for layer in layers]
    outputs: list[torch.Tensor] = []
    run()
    for handle in hooks:
        handle.remove()
    assert [output.numel() for output in outputs] == stats[:, 0].tolist()
    for layer, output, recorded, values in zip(layers, outputs, stats[:, 1:], first, strict=True):
        measured = [output.mean().item(), output.double().std(correction=0).item(), output.abs().max().item()]
        np.testing.assert_allclose(measured, recorded, rtol=1e-4, atol=1e-5 * recorded[-1])
        lowest = 0 if "BatchNorm" in type(layer).__name__ else -np.inf
        found = output.flatten()[:16].numpy().clip(lowest)
        np.testing.assert_allclose(found, values.clip(lowest), rtol=0, atol=1e-5 * recorded[-1])


def test_names_and_shapes_are_the_originals():
    assert tensor_shapes() == manifest_shapes()
    assert len(tensor_shapes()) == 88


def test_every_layer_of_the_face_branch_equals_the_recording(syncnet):
    frames = torch.from_numpy(recorded_frames(5, 224, 224))
    check_probe([*syncnet.netcnnlip, *syncnet.netfclip], lambda: syncnet.embed_frames(frames), "lip")


def test_every_layer_of_the_speech_branch_equals_the_recording(syncnet):
    window = torch.from_numpy(mfcc(recorded_audio(16000))[:20].T.astype(np.float32))[None, None]
    check_probe([*syncnet.netcnnaud, *syncnet.netfcaud], lambda: syncnet.embed_speech(window), "aud")


def test_a_stretch_of_frames_is_embedded_as_its_windows_are(syncnet):
    frames = torch.from_numpy(recorded_frames(7, 224, 224))
    together = syncnet.embed_frames(frames)
    one_by_one = torch.cat([syncnet.embed_frames(frames[first : first + 5]) for first in range(3)])
    torch.testing.assert_close(together, one_by_one, rtol=0, atol=1e-5 * together.abs().max().item())


def test_refuses_other_shapes(syncnet):
    for frames in (torch.zeros(4, 224, 224, 3), torch.zeros(5, 3, 224, 224)):
        with pytest.raises(ValueError, match="`frames` has shape"):
            syncnet.embed_frames(frames)
    with pytest.raises(ValueError, match="`mfcc` has shape"):
        syncnet.embed_speech(torch.zeros(2, 1, 20, 13))


def test_loads_in_evaluation_mode_without_gradients(syncnet):
    assert not syncnet.training
    assert not any(parameter.requires_grad for parameter in syncnet.parameters())


def test_counters_of_batches_are_tolerated(tmp_path):
    counters = {
        f"{name.removesuffix('running_var')}num_batches_tracked": torch.tensor(7) for name in manifest_shapes()
    }
    torch.save({**made_up_weights(), **counters}, tmp_path / "new.pth")
    loaded = load_syncnet2016(tmp_path / "new.pth").state_dict()
    torch.testing.assert_close(loaded["netcnnlip.0.weight"], made_up_weights()["netcnnlip.0.weight"], rtol=0, atol=0)


def test_converted_weights_are_the_same(tmp_path, syncnet):
    write_legacy(tmp_path / "syncnet_v2.model", made_up_weights())
    output = convert_syncnet(tmp_path / "syncnet_v2.model", tmp_path / "syncnet.safetensors")
    assert load_file(output).keys() == manifest_shapes().keys()
    loaded = load_syncnet2016(output).state_dict()
    for name, tensor in syncnet.state_dict().items():
        assert torch.equal(loaded[name], tensor), name
    with safe_open(output, "pt") as file:
        assert file.metadata()["format"] == "pt"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["syncnet.safetensors", "syncnet_v2.model"]


def test_conversion_can_be_repeated_on_its_own_output(tmp_path):
    save_file(made_up_weights(), tmp_path / "one.safetensors")
    convert_syncnet(tmp_path / "one.safetensors", tmp_path / "one.safetensors")
    assert load_file(tmp_path / "one.safetensors").keys() == manifest_shapes().keys()


class Code:
    """What runs when a careless program loads it."""

    def __reduce__(self):
        return print, ("code ran",)


@pytest.mark.parametrize("legacy", [True, False])
def test_files_with_code_are_refused(tmp_path, capsys, legacy):
    path = tmp_path / "evil.model"
    torch.save({"netcnnlip.0.weight": Code()}, path, _use_new_zipfile_serialization=not legacy)
    check_refused(path, "it contains more than tensors", "; pass the original syncnet_v2.model")
    assert "code ran" not in capsys.readouterr().out


def test_other_files_are_refused_in_one_line(tmp_path):
    plain, text, cut, listed = (tmp_path / name for name in ("plain.pkl", "text.model", "cut.model", "list.model"))
    plain.write_bytes(pickle.dumps({"a": Code()}))
    text.write_text("<html>Not found</html>")
    write_legacy(tmp_path / "whole.model", made_up_weights())
    cut.write_bytes((tmp_path / "whole.model").read_bytes()[:100_000])
    write_legacy(listed, [1, 2])
    for path in (plain, text, cut, listed):
        check_refused(path, "; pass the original syncnet_v2.model")


def test_damaged_safetensors_are_refused_in_one_line(tmp_path):
    save_file(made_up_weights(), tmp_path / "whole.safetensors")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes((tmp_path / "whole.safetensors").read_bytes()[:100_000])
    check_refused(cut, "truncated or not safetensors")


def test_other_networks_are_refused_by_name_and_shape(tmp_path):
    path = tmp_path / "other.model"
    weights = made_up_weights()
    without = {name: tensor for name, tensor in weights.items() if name != "netfclip.3.bias"}
    write_legacy(path, without)
    check_refused(path, "missing netfclip.3.bias")
    write_legacy(path, {**weights, "netfclip.4.bias": torch.zeros(3)})
    check_refused(path, "unexpected netfclip.4.bias")
    write_legacy(path, {**weights, "netfclip.3.bias": torch.zeros(3)})
    check_refused(path, r"netfclip.3.bias has shape (3,), expected (1024,)")


def check_refused(path, *parts: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        load_syncnet2016(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ") and "\n" not in line
    assert all(part in line for part in parts), line


def test_missing_source_and_bad_output(tmp_path):
    with pytest.raises(MediaError, match="no such checkpoint file"):
        load_syncnet2016(tmp_path / "none.model")
    with pytest.raises(MediaError, match="is a directory"):
        load_syncnet2016(tmp_path)
    write_legacy(tmp_path / "syncnet_v2.model", made_up_weights())
    with pytest.raises(MediaError, match="end its name in .safetensors"):
        convert_syncnet(tmp_path / "syncnet_v2.model", tmp_path / "out.pth")
    with pytest.raises(MediaError, match="its folder does not exist"):
        convert_syncnet(tmp_path / "syncnet_v2.model", tmp_path / "none" / "out.safetensors")
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(MediaError, match="is a folder"):
        convert_syncnet(tmp_path / "syncnet_v2.model", tmp_path / "folder.safetensors")
