"""The settings of a run: read strictly, checked, and written so that they are read again."""

import dataclasses

import pytest

from diff2lip_diffusers.errors import MediaError
from diff2lip_diffusers.training.audio_pretraining import AudioPretrainingConfig
from diff2lip_diffusers.training.config import TrainConfig, read_train_config
from diff2lip_diffusers.training.config_file import config_of, write_config
from diff2lip_diffusers.training.loss_weights import LOSS_PRESETS, LossWeights
from diff2lip_diffusers.training.renamed_keys import RENAMED_KEYS
from diff2lip_diffusers.training.syncnet_config import SyncNetTrainConfig

SMALLEST = "data: set\noutput: run\nmax_train_steps: 10\n"


@pytest.fixture
def read(tmp_path):
    def read(text, *overrides):
        (tmp_path / "run.yaml").write_text(text)
        return read_train_config(tmp_path / "run.yaml", overrides)

    return read


def test_what_is_written_is_read_again(read, tmp_path):
    text = SMALLEST + "learning_rate: 1e-4\nmodel:\n  block_out_channels: [32, 64]\n  attention_levels: [1]\n"
    config = read(text + "  attention_head_dim: 32\nlora: null\nlosses: simple\nframes_per_sample: 1\n")
    assert (config.learning_rate, config.model.block_out_channels, config.folders) == (1e-4, (32, 64), ["set"])
    assert config.losses == LOSS_PRESETS["simple"]
    write_config(config, tmp_path / "again.yaml")
    assert read_train_config(tmp_path / "again.yaml") == config


def test_overrides_win_and_reach_into_sections(read):
    config = read(
        SMALLEST + "losses: simple\n",
        "losses.x0_weight=0.5",
        "max_train_steps=7",
        "data=[a, b]",
        "lora.rank=2",
        "init_from=m",
    )
    assert (config.max_train_steps, config.folders, config.losses.x0_weight, config.losses.syncnet_weight) == (
        7,
        ["a", "b"],
        0.5,
        0,
    )
    assert (config.lora.rank, config.lora.alpha) == (2, 4.0)


def test_the_paper_preset_has_the_authors_weights():
    weights = LOSS_PRESETS["paper"]
    assert (weights.x0_weight, weights.syncnet_weight, weights.lpips_weight, weights.adversarial_weight) == (
        1,
        0.1,
        0.25,
        0.5,
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("learning_rat: 1", "`learning_rat` is not known; the nearest setting is `learning_rate`"),
        ("losses: {lpips_wait: 1}", "`losses.lpips_wait` is not known; the nearest setting is `losses.lpips_weight`"),
        ("train_batch_size: many", "`train_batch_size` is 'many', expected a whole number"),
        ("train_batch_size: 0", "`train_batch_size` is 0, expected 1 or more"),
        ("ema_decay: 1.5", "`ema_decay` is 1.5, expected 0 to 1"),
        ("ema_decay: .nan", "`ema_decay` is nan, expected 0 to 1"),
        ("random_flip: 1", "`random_flip` is 1, expected true or false"),
        ("reader: opencv", "`reader` is 'opencv', known are pyav, decord"),
        ("losses: paperr", "`losses` is 'paperr', known are paper, simple"),
        ("data: 3", "`data` is 3, expected text or a list, each text"),
        ("model: {block_out_channels: [16]}", "`model.block_out_channels` is [16], expected multiples of 4 and of 32"),
        ("model: {attention_levels: [7]}", "`model.attention_levels` has 7, expected levels from 0 to 4"),
        ("model: {attention_head_dim: 48}", "`model.attention_head_dim` is 48, which does not divide the 256"),
        ("timestep_bias_begin: 900\ntimestep_bias_end: 100", "`timestep_bias_begin` is 900, expected less than"),
        ("timestep_bias_strategy: late", "`timestep_bias_strategy` is 'late', known are none, earlier, later, range"),
        ("timestep_bias_multiplier: 0", "`timestep_bias_multiplier` is 0.0, expected 1e-12 to 1e+12"),
        ("frames_per_sample: 1\nsyncnet: net", "`frames_per_sample` is 1, but SyncNet needs 5"),
        ("lora: {rank: 4}", "`lora` needs `init_from`"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(read, line, message):
    with pytest.raises(ValueError) as caught:
        read(SMALLEST.replace(line.split(":")[0] + ": set\n", "") + line)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("old", sorted(RENAMED_KEYS))
def test_an_old_key_names_the_new_one(old):
    section, _, name = old.rpartition(".")
    new = RENAMED_KEYS[old]
    kinds = [
        kind
        for kind in ((LossWeights,) if section else (TrainConfig, SyncNetTrainConfig, AudioPretrainingConfig))
        if new in {field.name for field in dataclasses.fields(kind)}
    ]
    assert kinds
    for kind in kinds:
        with pytest.raises(ValueError) as caught:
            config_of(kind, {name: 1}, f"{section}." if section else "")
        assert str(caught.value).startswith(f"`{old}` is now `{section and section + '.'}{new}`")
        assert "\n" not in str(caught.value)


def test_a_missing_setting_and_files_that_are_no_settings(read, tmp_path):
    with pytest.raises(ValueError, match="`max_train_steps` is missing"):
        config_of(TrainConfig, {"data": "set", "output": "run"})
    with pytest.raises(MediaError, match="cannot be read .No such file"):
        read_train_config(tmp_path / "none.yaml")
    for text, reason in (("a: [", "is not YAML"), ("only words", "holds no settings"), ("", "holds no settings")):
        with pytest.raises(MediaError, match=reason):
            read(text)
    with pytest.raises(ValueError, match="'steps' is not name=value"):
        read(SMALLEST, "steps")


@pytest.mark.parametrize(
    "text", ["[" * 5000, "a: " * 3000, "{" * 3000, "2024-13-99: 1", "? {a: b}\n: c", "1: 2", "!!float x"]
)
def test_yaml_that_is_deep_or_odd_is_one_line(tmp_path, text):
    (tmp_path / "deep.yaml").write_text(text)
    with pytest.raises((MediaError, ValueError)) as caught:
        read_train_config(tmp_path / "deep.yaml")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500
    with pytest.raises(ValueError):
        (tmp_path / "good.yaml").write_text("data: a\noutput: b\nmax_train_steps: 1\n")
        read_train_config(tmp_path / "good.yaml", [f"seed={text}"])
