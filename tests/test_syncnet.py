"""SyncNet: the layers of the public expert by name and shape, its input, its loss, and what it loads."""

import copy
import math

import pytest
import torch
from helpers.recorded import fill

from diff2lip_diffusers.errors import CheckpointError, MediaError
from diff2lip_diffusers.portable.feature_extraction_diff2lip import Diff2LipFeatureExtractor
from diff2lip_diffusers.syncnet import (
    SyncNet,
    load_syncnet,
    load_wav2lip_expert,
    sync_loss,
    sync_mel_windows,
    sync_probability,
    syncnet_input,
)

# Input channels, output channels and kernel of every convolution of the public expert.
FACE_LAYERS = [
    (15, 32, 7), (32, 64, 5), (64, 64, 3), (64, 64, 3), (64, 128, 3), (128, 128, 3), (128, 128, 3), (128, 128, 3),
    (128, 256, 3), (256, 256, 3), (256, 256, 3), (256, 512, 3), (512, 512, 3), (512, 512, 3), (512, 512, 3),
    (512, 512, 3), (512, 512, 1),
]  # fmt: skip
AUDIO_LAYERS = [
    (1, 32, 3), (32, 32, 3), (32, 32, 3), (32, 64, 3), (64, 64, 3), (64, 64, 3), (64, 128, 3), (128, 128, 3),
    (128, 128, 3), (128, 256, 3), (256, 256, 3), (256, 256, 3), (256, 512, 3), (512, 512, 1),
]  # fmt: skip
SMALL = {"input_size": 48, "block_out_channels": (4, 6, 8, 10, 12), "embed_dim": 16}


def expert_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the public expert's tensors."""
    shapes = {}
    for encoder, layers in (("face_encoder", FACE_LAYERS), ("audio_encoder", AUDIO_LAYERS)):
        for number, (inputs, outputs, kernel) in enumerate(layers):
            block = f"{encoder}.{number}.conv_block"
            shapes[f"{block}.0.weight"] = (outputs, inputs, kernel, kernel)
            shapes[f"{block}.0.bias"] = (outputs,)
            for name in ("weight", "bias", "running_mean", "running_var"):
                shapes[f"{block}.1.{name}"] = (outputs,)
            shapes[f"{block}.1.num_batches_tracked"] = ()
    return shapes


@pytest.fixture(scope="module")
def expert_tensors() -> dict[str, torch.Tensor]:
    tensors = {name: fill(name, list(shape)) for name, shape in expert_shapes().items()}
    for name, tensor in tensors.items():
        if name.endswith("running_var"):
            tensor.abs_()
        if name.endswith("num_batches_tracked"):
            tensors[name] = torch.tensor(7)
    return tensors


@pytest.fixture(scope="module")
def small() -> SyncNet:
    torch.manual_seed(0)
    return SyncNet(**SMALL).eval()


def test_default_layers_are_those_of_the_public_expert():
    with torch.device("meta"):
        syncnet = SyncNet().eval()
    assert {name: tuple(tensor.shape) for name, tensor in syncnet.state_dict().items()} == expert_shapes()
    embeds = syncnet(torch.empty(2, 15, 48, 96, device="meta"), torch.empty(2, 1, 80, 16, device="meta"))
    assert [tuple(vectors.shape) for vectors in embeds] == [(2, 512), (2, 512)]


def test_strides_are_those_of_the_public_expert():
    with torch.device("meta"):
        syncnet = SyncNet().eval()
    sizes = {"face_encoder": [], "audio_encoder": []}
    for name, size in sizes.items():
        for block in getattr(syncnet, name):
            block.register_forward_hook(lambda _, __, output, size=size: size.append(tuple(output.shape[2:])))
    syncnet(torch.empty(1, 15, 48, 96, device="meta"), torch.empty(1, 1, 80, 16, device="meta"))
    assert sizes["face_encoder"] == (
        [(48, 96)] + 3 * [(46, 47)] + 4 * [(23, 24)] + 3 * [(12, 12)] + 3 * [(6, 6)] + [(3, 3), (1, 1), (1, 1)]
    )
    assert sizes["audio_encoder"] == (3 * [(80, 16)] + 3 * [(27, 16)] + 3 * [(9, 6)] + 3 * [(3, 3)] + [(1, 1), (1, 1)])


@pytest.mark.parametrize("input_size", [48, 96, 192])
def test_every_input_size_ends_in_one_place(input_size):
    with torch.device("meta"):
        syncnet = SyncNet(input_size=input_size).eval()
        assert syncnet.encode_faces(torch.empty(1, 15, input_size // 2, input_size)).shape == (1, 512)


def test_a_residual_layer_adds_its_input_before_the_relu(small):
    block = copy.deepcopy(small.face_encoder[2])
    with torch.no_grad():
        block.conv_block[0].weight.zero_()
        block.conv_block[0].bias.fill_(-0.5)
        block.conv_block[1].eps = 0.0
        hidden = torch.randn(1, 6, 5, 5)
        torch.testing.assert_close(block(hidden), (hidden - 0.5).clamp(min=0))


def test_embeddings_are_unit_vectors_without_negatives(small):
    embeds = small(torch.rand(3, 15, 24, 48), torch.randn(3, 1, 80, 16))
    for vectors in embeds:
        assert vectors.shape == (3, 16)
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
        assert vectors.min() >= 0


def test_input_is_the_lower_half_frame_by_frame():
    crops = torch.linspace(-1, 1, 2 * 5 * 3 * 48 * 48).reshape(2, 5, 3, 48, 48)
    stacked = syncnet_input(crops, 48)
    assert stacked.shape == (2, 15, 24, 48)
    for frame in range(5):
        torch.testing.assert_close(stacked[:, 3 * frame : 3 * frame + 3], (crops[:, frame, :, 24:] + 1) / 2)
    other = syncnet_input(crops, 48, "bgr")
    torch.testing.assert_close(other[:, 3:6], stacked[:, [5, 4, 3]])


def test_input_is_resized_before_it_is_cut():
    # A step at the middle row and a ramp along the columns, which bilinear resizing keeps away from the edges.
    crops = torch.ones(1, 5, 3, 40, 40)
    crops[..., :20, :] = -1
    crops *= (torch.arange(40) + 0.5) / 40
    stacked = syncnet_input(crops, 96)
    assert stacked.shape == (1, 15, 48, 96)
    expected = ((torch.arange(96) + 0.5) / 96 + 1) / 2
    torch.testing.assert_close(stacked[0, 7, 5, 2:-2], expected[2:-2])


def test_gradients_reach_the_crops(small):
    crops = torch.zeros(1, 5, 3, 64, 64, requires_grad=True)
    faces, sounds = small(small.face_input(crops), torch.randn(1, 1, 80, 16))
    sync_loss(faces, sounds).backward()
    assert crops.grad[..., 40:, :].abs().sum() > 0
    assert crops.grad[..., :30, :].abs().sum() == 0


@pytest.mark.parametrize("fps", [25, 30, 24000 / 1001])
def test_sound_begins_with_the_first_frame(fps):
    mel = torch.arange(200.0).expand(80, 200)
    windows = sync_mel_windows(mel, [0, 1, 2, 7, 31], fps)
    assert windows.shape == (5, 1, 80, 16)
    starts = [int(80 * n / fps) for n in (0, 1, 2, 7, 31)]
    torch.testing.assert_close(windows[:, 0, 3], torch.tensor(starts)[:, None] + torch.arange(16.0))


def test_sound_behind_the_end_is_silence():
    assert (sync_mel_windows(torch.zeros(80, 20), [4])[0, 0, 0] == torch.tensor([0.0] * 8 + [-4.0] * 8)).all()
    quiet = Diff2LipFeatureExtractor(padding_value=-9.0)
    assert sync_mel_windows(torch.zeros(80, 20), [4], extractor=quiet)[0, 0, 0, -1] == -9


def test_loss_by_hand():
    faces = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    sounds = torch.tensor([[0.6, 0.8], [0.6, 0.8]])
    similarity = sync_probability(faces, sounds)
    torch.testing.assert_close(similarity, torch.tensor([0.6, 1.0]))
    in_sync = sync_loss(faces, sounds)
    torch.testing.assert_close(in_sync, torch.tensor(-math.log(0.6) / 2))
    # A similarity of 1 that is off sync costs 100, the most that the cross entropy of torch gives.
    mixed = sync_loss(faces, sounds, torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(mixed, torch.tensor(-math.log(0.4) / 2))
    assert sync_loss(faces[1:], sounds[1:], 0.0) == 100


def test_similarity_is_clamped_to_probabilities():
    face = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    assert sync_probability(face, -face).tolist() == [0, 0]
    assert (sync_probability(face, face) <= 1).all()


def test_saved_and_loaded_it_is_the_same(small, tmp_path):
    small.save_pretrained(tmp_path / "syncnet")
    loaded = load_syncnet(tmp_path / "syncnet")
    assert not loaded.training
    assert dict(loaded.config)["block_out_channels"] == [4, 6, 8, 10, 12]
    inputs = torch.rand(2, 15, 24, 48), torch.randn(2, 1, 80, 16)
    for own, theirs in zip(small(*inputs), loaded(*inputs), strict=True):
        torch.testing.assert_close(own, theirs)


@pytest.mark.parametrize("layout", ["flat", "state_dict", "module"])
def test_the_expert_file_loads(expert_tensors, tmp_path, layout):
    content = expert_tensors
    if layout == "module":
        content = {f"module.{name}": tensor for name, tensor in content.items()}
    if layout != "flat":
        content = {"state_dict": content, "optimizer": {"state": {}}, "global_step": 5, "global_epoch": 1}
    torch.save(content, tmp_path / "expert.pth")
    syncnet = load_syncnet(tmp_path / "expert.pth")
    assert not syncnet.training and syncnet.config.channel_order == "bgr"
    state = syncnet.state_dict()
    assert state.keys() == expert_tensors.keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in expert_tensors.items())


def test_an_expert_with_other_tensors_is_refused_in_one_line(expert_tensors, tmp_path):
    path = tmp_path / "expert.pth"
    cases = {
        "missing face_encoder.3.conv_block.0.weight": lambda t: t.pop("face_encoder.3.conv_block.0.weight"),
        "unexpected extra.bias": lambda t: t.update({"extra.bias": torch.zeros(1)}),
        r"face_encoder.16.conv_block.0.weight has shape \(512, 512, 3, 3\), expected \(512, 512, 1, 1\)": lambda t: (
            t.update({"face_encoder.16.conv_block.0.weight": torch.zeros(512, 512, 3, 3)})
        ),
        "holds no named tensors": lambda t: t.update(epoch=3),
    }
    for message, change in cases.items():
        tensors = dict(expert_tensors)
        change(tensors)
        torch.save(tensors, path)
        with pytest.raises(CheckpointError, match=message) as caught:
            load_wav2lip_expert(path)
        assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_files_and_folders_that_are_no_syncnet_are_refused_in_one_line(small, tmp_path):
    (tmp_path / "text.pth").write_text("no checkpoint")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="text.pth: "):
        load_syncnet(tmp_path / "text.pth")
    with pytest.raises(MediaError, match="has no config.json, expected the folder of a SyncNet"):
        load_syncnet(tmp_path / "empty")
    with pytest.raises(MediaError, match="no such folder; train one with: diff2lip train-syncnet"):
        load_syncnet(tmp_path / "nothing")
    with pytest.raises(MediaError, match="no such checkpoint file"):
        load_wav2lip_expert(tmp_path / "nothing.pth")


def test_a_folder_with_weights_of_another_size_is_refused_in_one_line(small, tmp_path):
    small.save_pretrained(tmp_path)
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace('"embed_dim": 16', '"embed_dim": 18'))
    with pytest.raises(CheckpointError) as caught:
        load_syncnet(tmp_path)
    assert "\n" not in str(caught.value)
    (tmp_path / "config.json").write_text(config)
    (tmp_path / "diffusion_pytorch_model.safetensors").write_bytes(b"cut off")
    with pytest.raises(CheckpointError, match="holds no SyncNet"):
        load_syncnet(tmp_path)


def test_a_folder_that_lacks_weights_is_refused(small, tmp_path):
    from safetensors.torch import load_file, save_file

    small.save_pretrained(tmp_path)
    file = tmp_path / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    del tensors["audio_encoder.2.conv_block.0.weight"]
    save_file(tensors, file)
    with pytest.raises(CheckpointError, match="missing audio_encoder.2.conv_block.0.weight"):
        load_syncnet(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_size": 64}, "`input_size` is 64, expected 48, 96"),
        ({"input_size": 0}, "`input_size` is 0"),
        ({"block_out_channels": (4, 4)}, "expected five numbers above 0"),
        ({"block_out_channels": (4, 4, 0, 4, 4)}, "expected five numbers above 0"),
        ({"channel_order": "yuv"}, "`channel_order` is 'yuv', known are rgb, bgr"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        SyncNet(**SMALL | arguments)


def test_wrong_shapes_are_named(small):
    with pytest.raises(ValueError, match=r"`faces` has shape \(1, 15, 48, 96\), expected \(N, 15, 24, 48\)"):
        small.encode_faces(torch.zeros(1, 15, 48, 96))
    with pytest.raises(ValueError, match=r"`mel` has shape \(1, 80, 16\), expected \(N, 1, 80, 16\)"):
        small.encode_mel(torch.zeros(1, 80, 16))
    with pytest.raises(ValueError, match=r"`crops` has shape \(1, 4, 3, 8, 8\)"):
        small.face_input(torch.zeros(1, 4, 3, 8, 8))
