"""The license of weights: it stays with them, and own weights are never called the authors'."""

import pytest
import torch
from helpers.hub_stand_in import HubStandIn, use_stand_in
from helpers.recorded import HEAD_CHANNELS
from helpers.untrained import untrained_pipeline

from diff2lip_diffusers import convert_checkpoint, load_pipeline
from diff2lip_diffusers.cli import main
from diff2lip_diffusers.original_checkpoint import load_original_checkpoint
from diff2lip_diffusers.training.config import TrainConfig
from diff2lip_diffusers.training.denoiser import make_denoiser
from diff2lip_diffusers.training.model_folder import save_model_folder


def exported_and_converted(model, folder) -> tuple[str, dict]:
    """The card of a model folder that went through the authors' layout, and its arguments of conversion."""
    assert main(["export", str(model), str(folder / "exported.pt")]) == 0
    config = load_pipeline(model, "cpu", "fp32").unet.config
    sizes = {
        "head_channels": config.attention_head_dim,
        "norm_groups": config.norm_num_groups,
        "sample_size": config.sample_size,
    }
    convert_checkpoint(folder / "exported.pt", folder / "again", **sizes)
    return (folder / "again" / "README.md").read_text(), sizes


def test_exported_weights_of_ones_own_do_not_become_the_authors(tiny_state_dict, tmp_path, capsys):
    torch.save(tiny_state_dict, tmp_path / "own.pt")
    convert_checkpoint(tmp_path / "own.pt", tmp_path / "model", HEAD_CHANNELS["tiny"], license="mit")
    assert "license: mit" in (tmp_path / "model" / "README.md").read_text()
    card, sizes = exported_and_converted(tmp_path / "model", tmp_path)
    assert "license: mit" in card and "authors' weights" not in card and "cc-by-nc" not in card.lower()
    assert not (tmp_path / "again" / "LICENSE.txt").exists()
    for index in (tmp_path / "model", tmp_path / "again"):
        assert load_pipeline(index, "cpu", "fp32").config["weights_license"] == "mit"
    command = ["--head-channels", str(sizes["head_channels"]), "--sample-size", str(sizes["sample_size"])]
    capsys.readouterr()
    assert main(["convert", str(tmp_path / "exported.pt"), "--output", str(tmp_path / "third"), *command]) == 0
    assert capsys.readouterr().out.endswith("converted; license of the weights: mit\n")
    assert load_original_checkpoint(tmp_path / "exported.pt").keys() == tiny_state_dict.keys()


def test_weights_whose_license_nobody_named_stay_without_one(tiny_state_dict, tmp_path):
    torch.save(tiny_state_dict, tmp_path / "own.pt")
    folder = convert_checkpoint(tmp_path / "own.pt", tmp_path / "model", HEAD_CHANNELS["tiny"])
    pipe = load_pipeline(folder, "cpu", "fp32")
    pipe.register_to_config(weights_license=None, _name_or_path=None)
    pipe.save_pretrained(tmp_path / "trained")
    card, _ = exported_and_converted(tmp_path / "trained", tmp_path)
    assert "\nlicense:" not in card and "have named no license" in card


def test_the_authors_weights_stay_the_authors(tiny_state_dict, tmp_path):
    torch.save(tiny_state_dict, tmp_path / "original.pt")
    convert_checkpoint(tmp_path / "original.pt", tmp_path / "model", HEAD_CHANNELS["tiny"])
    card, _ = exported_and_converted(tmp_path / "model", tmp_path)
    assert card == (tmp_path / "model" / "README.md").read_text()
    assert "license: cc-by-nc-4.0" in card and (tmp_path / "again" / "LICENSE.txt").is_file()


@pytest.mark.parametrize(("text", "stays"), [(None, False), ("Ours: see the contract.", True)])
def test_own_weights_in_an_old_folder_lose_the_authors_license_and_no_other(tiny_state_dict, tmp_path, text, stays):
    torch.save(tiny_state_dict, tmp_path / "some.pt")
    file = convert_checkpoint(tmp_path / "some.pt", tmp_path / "model", HEAD_CHANNELS["tiny"]) / "LICENSE.txt"
    if text is not None:
        file.write_text(text)
    convert_checkpoint(tmp_path / "some.pt", tmp_path / "model", HEAD_CHANNELS["tiny"], license="mit")
    assert file.exists() == stays


@pytest.mark.parametrize(
    ("license", "expected"),
    [("cc-by-nc-4.0", "license: cc-by-nc-4.0\n"), ("mit", "license: mit\n"), (None, "have named no license")],
)
def test_a_pushed_pipeline_carries_our_card(license, expected, tmp_path, monkeypatch):
    pipe = untrained_pipeline(sample_size=16)
    pipe.register_to_config(weights_license=license)
    with HubStandIn(tmp_path / "hub") as hub:
        use_stand_in(hub, monkeypatch)
        pipe.push_to_hub("somebody/lips")
        card = hub.repos["somebody/lips"].files["README.md"].decode()
        assert expected in card
        assert "pip install diff2lip-diffusers" in card and "import diff2lip_diffusers" in card
        assert 'from_pretrained("somebody/lips")' in card
        own = card.replace("# A Diff2Lip pipeline", "# My lips")
        hub.repos["somebody/lips"].commit("my card", {"README.md": own.encode()})
        pipe.push_to_hub("somebody/lips")  # a card that a person wrote stays
        assert "# My lips" in hub.repos["somebody/lips"].files["README.md"].decode()
        assert hub.unanswered == []


def test_further_training_does_not_change_the_license(tiny_state_dict, tmp_path):
    torch.save(tiny_state_dict, tmp_path / "original.pt")
    convert_checkpoint(tmp_path / "original.pt", tmp_path / "model", HEAD_CHANNELS["tiny"])
    denoiser = make_denoiser(
        TrainConfig(data="set", output="run", init_from=str(tmp_path / "model"), max_train_steps=1)
    )
    (tmp_path / "training.yaml").write_text("seed: 0\n")
    save_model_folder(denoiser.pipeline(), tmp_path / "trained", 1, tmp_path / "training.yaml")
    assert "license: cc-by-nc-4.0\n" in (tmp_path / "trained" / "README.md").read_text()
    assert load_pipeline(tmp_path / "trained", "cpu", "fp32").config["weights_license"] == "cc-by-nc-4.0"
