"""Training of the SyncNet: which pairs count, what they cost, accuracy, exact resume, and that it learns at all."""

import json
import math

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState

from diff2lip_diffusers import cli
from diff2lip_diffusers.errors import CheckpointError, Diff2LipError, MediaError
from diff2lip_diffusers.prepare.clip_files import write_clip_speech, write_crops
from diff2lip_diffusers.syncnet import SyncNet, load_syncnet, sync_mel_windows
from diff2lip_diffusers.training.sync_accuracy import (
    SyncPairs,
    best_threshold,
    clip_score,
    measure_pairs,
    sync_accuracy,
)
from diff2lip_diffusers.training.sync_windows import balanced_loss, contrastive_loss, is_silent, windows_of
from diff2lip_diffusers.training.syncnet_config import SyncNetTrainConfig, read_syncnet_config
from diff2lip_diffusers.training.syncnet_trainer import SyncNetTrainer, train_syncnet
from diff2lip_diffusers.training.training_clips import clip_spectrogram, is_held_out
from diff2lip_diffusers.training.training_set import TrainingSet

CHANNELS = (4, 6, 8, 12, 16)
FRAMES, SAMPLES_PER_FRAME = 40, 640


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Ten speakers whose mouths open with the loudness of a tone, which changes at random."""
    folder = tmp_path_factory.mktemp("data") / "set"
    (folder / "clips").mkdir(parents=True)
    settings = {"version": 1, "size_px": 48, "fps": 25, "sampling_rate": 16000}
    (folder / "settings.json").write_text(json.dumps(settings))
    with (folder / "index.jsonl").open("w") as index:
        for number in range(10):
            write_clip(folder / "clips", number)
            entry = {"name": f"clip_{number}", "frames": FRAMES, "identity": f"speaker{number}", "source": "made up"}
            index.write(json.dumps(entry | {"start_s": 0.0, "confidence": None, "offset_frames": None}) + "\n")
    return folder


def write_clip(folder, number: int) -> None:
    rng = np.random.default_rng(number)
    opening = np.interp(np.arange(FRAMES), np.arange(0, FRAMES + 3, 3), rng.random(FRAMES // 3 + 2))
    crops = np.full((FRAMES, 48, 48, 3), (90 + 12 * number, 120, 150), np.uint8)
    for crop, height in zip(crops, np.rint(12 * opening).astype(int), strict=True):
        crop[38 - height // 2 : 38 + (height + 1) // 2, 14:34] = (120, 20, 40)
    write_crops(folder / f"clip_{number}.mp4", list(crops))
    time_s = np.arange(FRAMES * SAMPLES_PER_FRAME) / 16000
    loudness = np.interp(time_s * 25, np.arange(FRAMES), opening) ** 2
    sound = loudness * np.sin(2 * np.pi * 220 * time_s) + 0.001 * rng.standard_normal(len(time_s))
    write_clip_speech(folder / f"clip_{number}.wav", (20000 * sound).astype(np.int16))


def settings(folder, output, **others) -> SyncNetTrainConfig:
    values = {
        "data": str(folder), "output": str(output), "max_train_steps": 4, "input_size": 48,
        "block_out_channels": CHANNELS, "embed_dim": 16, "clips_per_batch": 3, "windows_per_clip": 4,
        "held_out_fraction": 0.0, "validation_steps": 0,
        "learning_rate": 1e-3, "lr_warmup_steps": 2, "cache": "memory",
    }  # fmt: skip
    return SyncNetTrainConfig(**values | others)


# Pairs and their losses


def test_windows_are_frames_with_the_sound_that_begins_with_them(folder):
    data = TrainingSet(folder, 48, 20)
    sample = data[5]
    syncnet = SyncNet(48, CHANNELS, 16)
    faces, mel = windows_of(syncnet, sample["frames"][None], sample["mel_windows"][None])
    assert faces.shape == (4, 15, 24, 48) and mel.shape == (4, 1, 80, 16)
    for window in range(4):
        frames = sample["frames"][5 * window : 5 * window + 5]
        torch.testing.assert_close(faces[window], syncnet.face_input(frames[None])[0])
    # Which window of which clip it is tell the frames; the first sound is the one for SyncNet.
    torch.testing.assert_close(mel[0, 0], sample["sync_mel"])
    torch.testing.assert_close(mel[1, 0, :, 0], sample["mel_windows"][6, :, 0])


def test_silence_is_what_is_far_below_the_loudest_or_at_the_floor():
    levels = torch.tensor([[-1.0, -1.9, -2.1, -3.9], [-2.9, -3.45, -3.6, -3.95], [-3.9, -3.9, -4.0, -4.0]])
    mel = levels[..., None, None].expand(-1, -1, 80, 16)
    assert is_silent(mel).tolist() == [
        [False, False, True, True],
        [False, False, True, True],
        [True, True, True, True],
    ]


SIMILARITY = torch.tensor(
    [
        [0.9, 0.2, 0.3, 0.4],
        [0.1, 0.8, 0.6, 0.5],
        [0.3, 0.7, 0.6, 0.2],
        [0.2, 0.1, 0.4, 0.5],
    ]
)


def test_balanced_loss_by_hand():
    # Two clips of two windows; the windows 1 and 3 are silent.
    loss = balanced_loss(SIMILARITY, torch.tensor([False, True, False, True]), 2, other_clips=0.25)
    in_sync = -sum(map(math.log, (0.9, 0.8, 0.6, 0.5))) / 4
    same_clip = -sum(map(math.log, (1 - 0.2, 1 - 0.1, 1 - 0.2, 1 - 0.4))) / 4
    # All of the corners but (1, 3) and (3, 1), which are silence against silence.
    other = -sum(map(math.log, (1 - 0.3, 1 - 0.4, 1 - 0.6, 1 - 0.3, 1 - 0.7, 1 - 0.2))) / 6
    assert loss.item() == pytest.approx((in_sync + 0.75 * same_clip + 0.25 * other) / 2, rel=1e-5)


def test_silence_against_silence_is_no_negative():
    silent = torch.ones(4, dtype=torch.bool)
    in_sync = -sum(map(math.log, (0.9, 0.8, 0.6, 0.5))) / 4
    assert balanced_loss(SIMILARITY, silent, 2, 0.5).item() == pytest.approx(in_sync / 2, rel=1e-5)


def test_contrastive_loss_by_hand():
    def chosen(own: float, other: float) -> float:
        return -math.log(math.exp(own / 0.1) / (math.exp(own / 0.1) + math.exp(other / 0.1)))

    loss = contrastive_loss(SIMILARITY, torch.zeros(4, dtype=torch.bool), 2)
    sounds = chosen(0.9, 0.2) + chosen(0.8, 0.1) + chosen(0.6, 0.2) + chosen(0.5, 0.4)
    mouths = chosen(0.9, 0.1) + chosen(0.8, 0.2) + chosen(0.6, 0.4) + chosen(0.5, 0.2)
    assert loss.item() == pytest.approx((sounds + mouths) / 8, rel=1e-5)
    # Where all is silent there is nothing to choose from.
    assert contrastive_loss(SIMILARITY, torch.ones(4, dtype=torch.bool), 2) == 0


# Accuracy


PAIRS = SyncPairs(
    in_sync=torch.tensor([0.9, 0.6, 0.4, 0.7]),
    off_sync=torch.tensor([0.1, 0.55, 0.45, 0.3]),
    tellable=torch.tensor([True, True, False, True]),
)


def test_accuracy_by_hand():
    found = sync_accuracy(PAIRS)
    # Wrong are one of in_sync (0.4) and one of off_sync (0.55).
    assert (found.accuracy, found.choice, found.pairs) == (pytest.approx(0.75), pytest.approx(0.75), 4)
    only = sync_accuracy(PAIRS.only_tellable())
    assert (only.accuracy, only.choice, only.pairs) == (pytest.approx(5 / 6), 1.0, 3)


def test_the_best_threshold_is_at_a_similarity():
    threshold = best_threshold(PAIRS)
    assert threshold == pytest.approx(0.55)
    assert sync_accuracy(PAIRS, threshold).accuracy == pytest.approx(7 / 8)


def test_the_best_threshold_does_not_part_what_is_equal():
    pairs = SyncPairs(torch.tensor([0.5, 0.5, 0.9]), torch.tensor([0.5, 0.2, 0.1]), torch.ones(3, dtype=torch.bool))
    accuracies = {value: sync_accuracy(pairs, value).accuracy for value in (0.1, 0.2, 0.5, 0.9)}
    assert best_threshold(pairs) == pytest.approx(max(accuracies, key=accuracies.get))


def test_measured_pairs_are_the_own_sound_and_one_from_elsewhere(folder):
    torch.manual_seed(0)
    syncnet = SyncNet(48, CHANNELS, 16).eval()
    data = TrainingSet(folder, 48, 6)
    pairs = measure_pairs(syncnet, data, seed=1)
    assert len(pairs.in_sync) == len(pairs.off_sync) == len(pairs.tellable) == 10 * 8
    again = measure_pairs(syncnet, data, seed=1)
    assert torch.equal(pairs.off_sync, again.off_sync)
    assert not torch.equal(pairs.off_sync, measure_pairs(syncnet, data, seed=2).off_sync)

    clip = data.clips[3]
    mel = data.mel(3, 0, clip.frames)["mel_windows"]
    with torch.no_grad():
        faces, sounds = syncnet(
            syncnet.face_input(data.sized(data.read(3, 10, 5))[None]), mel[None, 11:12].transpose(0, 1)
        )
        every = syncnet.encode_mel(
            torch.cat([data.mel(index, 0, FRAMES)["mel_windows"][1 : FRAMES - 3] for index in range(10)])[:, None]
        )
    window = 3 * 8 + 2
    assert pairs.in_sync[window].item() == pytest.approx((faces @ sounds.T).item(), abs=1e-5)
    # The other sound is one that begins 5 frames away or more, or in another clip.
    apart = [n for n in range(len(every)) if abs(n - (3 * (FRAMES - 4) + 10)) >= 5]
    others = (every[apart] @ faces[0]).sub(pairs.off_sync[window]).abs()
    assert others.min() < 1e-5


# Runs


def test_a_run_learns_and_its_folder_loads(folder, tmp_path):
    config = settings(
        folder, tmp_path / "run", max_train_steps=80, block_out_channels=(4, 8, 16, 16, 32), clips_per_batch=6,
        contrastive_weight=0.3, learning_rate=3e-3, other_clips_weight=0.0,
        jitter=0.0, color_jitter=0.0, adam_weight_decay=0.0,
    )  # fmt: skip
    records = list(train_syncnet(config))
    assert [record.step for record in records] == list(range(1, 81))
    # A guess costs ln 2 = 0.69.
    assert np.mean([record.losses["bce"] for record in records[-10:]]) < 0.5
    syncnet = load_syncnet(tmp_path / "run" / "model")
    data = TrainingSet(folder, 48, 20)
    assert sync_accuracy(measure_pairs(syncnet, data).only_tellable()).choice > 0.8
    offsets = [clip_score(syncnet, data, index).offset_frames for index in range(len(data.clips))]
    assert max(map(abs, offsets)) <= 1 and offsets.count(0) >= 8


def test_a_run_that_was_stopped_goes_on_to_the_same_losses(folder, tmp_path):
    others = {"checkpointing_steps": 2, "contrastive_weight": 0.2, "max_train_steps": 4}
    whole = [record.losses for record in train_syncnet(settings(folder, tmp_path / "whole", **others))]
    stopped = train_syncnet(settings(folder, tmp_path / "parts", **others))
    first = [next(stopped).losses for _ in range(3)]
    stopped.close()
    # Step 3 was made, but not written.
    rest = list(train_syncnet(settings(folder, tmp_path / "parts", **others)))
    assert [record.step for record in rest] == [3, 4]
    for own, theirs in zip([*first[:2], *(record.losses for record in rest)], whole, strict=True):
        assert own == pytest.approx(theirs, abs=1e-6)
    loaded = [load_syncnet(tmp_path / name / "model").state_dict() for name in ("whole", "parts")]
    for name, tensor in loaded[0].items():
        torch.testing.assert_close(loaded[1][name], tensor, rtol=0, atol=1e-6)
    assert list(train_syncnet(settings(folder, tmp_path / "parts", **others))) == []


def test_without_resume_it_starts_anew(folder, tmp_path):
    config = settings(folder, tmp_path / "run", max_train_steps=1, checkpointing_steps=1)
    first = list(train_syncnet(config))
    again = list(train_syncnet(config, resume=False))
    assert [record.losses for record in again] == [record.losses for record in first]


def test_held_out_identities_are_measured_and_not_trained_on(folder, tmp_path):
    config = settings(folder, tmp_path / "run", max_train_steps=3, held_out_fraction=0.5, validation_steps=2)
    trainer = SyncNetTrainer(config)
    assert {is_held_out(clip.identity, 0.5) for clip in trainer.data.clips} == {False}
    assert {is_held_out(clip.identity, 0.5) for clip in trainer.held_out.clips} == {True}
    records = list(trainer.run())
    assert [record.held_out is not None for record in records] == [False, True, True]
    assert trainer.syncnet.training
    assert records[-1].held_out.pairs <= 8 * len(trainer.held_out.clips)


def test_a_run_goes_on_from_another_syncnet(folder, tmp_path):
    torch.manual_seed(4)
    SyncNet(48, (2, 4, 4, 4, 8), 12).save_pretrained(tmp_path / "first")
    config = settings(
        folder, tmp_path / "run", max_train_steps=1, init_from=str(tmp_path / "first"), learning_rate=0.0
    )
    list(train_syncnet(config))
    before, after = load_syncnet(tmp_path / "first"), load_syncnet(tmp_path / "run" / "model")
    assert torch.equal(before.face_encoder[3].conv_block[0].weight, after.face_encoder[3].conv_block[0].weight)


def test_bfloat16_gives_about_the_same_loss(folder, tmp_path):
    exact = next(train_syncnet(settings(folder, tmp_path / "exact")))
    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        rough = next(train_syncnet(settings(folder, tmp_path / "rough", mixed_precision="bf16")))
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
    assert rough.losses["bce"] == pytest.approx(exact.losses["bce"], rel=0.05)


# Bad input


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: x\noutput: y\nmax_train_steps: 5\nwindow_per_clip: 3", "the nearest setting is `windows_per_clip`"),
        ("data: x\noutput: y\nmax_train_steps: 0", "`max_train_steps` is 0, expected 1 or more"),
        (
            "data: x\noutput: y\nmax_train_steps: 5\nother_clips_weight: 2",
            "`other_clips_weight` is 2.0, expected 0 to 1",
        ),
        ("data: x\noutput: y\nmax_train_steps: 5\nclips_per_batch: 1", "`clips_per_batch` is 1, expected 2 or more"),
        ("data: []\noutput: y\nmax_train_steps: 5", "`data` is empty"),
        ("data: x\noutput: y\nmax_train_steps: 5\nmixed_precision: fp8", "`mixed_precision` is 'fp8', known are"),
        ("data: x\noutput: y", "`max_train_steps` is missing"),
    ],
)
def test_a_wrong_setting_is_one_line(tmp_path, capsys, text, message):
    (tmp_path / "run.yaml").write_text(text)
    with pytest.raises((Diff2LipError, ValueError), match=message) as caught:
        read_syncnet_config(tmp_path / "run.yaml")
    assert "\n" not in str(caught.value)


def test_settings_that_make_no_network_are_refused_before_the_work(folder, tmp_path):
    with pytest.raises(ValueError, match="`input_size` is 50"):
        SyncNetTrainer(settings(folder, tmp_path / "run", input_size=50))
    assert not (tmp_path / "run").exists()


def test_data_that_cannot_be_trained_on_is_one_line(folder, tmp_path):
    with pytest.raises(MediaError, match="no such folder; make a training set"):
        SyncNetTrainer(settings(tmp_path / "nothing", tmp_path / "run"))
    with pytest.raises(Diff2LipError, match="more than 45 frames"):
        SyncNetTrainer(settings(folder, tmp_path / "run", windows_per_clip=9))
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_of_another_network_is_one_line(folder, tmp_path):
    list(train_syncnet(settings(folder, tmp_path / "run", max_train_steps=1, checkpointing_steps=1)))
    with pytest.raises(CheckpointError, match="was written by a run with other networks"):
        SyncNetTrainer(settings(folder, tmp_path / "run", max_train_steps=2, embed_dim=24))


def test_a_refused_resume_leaves_the_settings_as_they_were(folder, tmp_path):
    list(train_syncnet(settings(folder, tmp_path / "run", max_train_steps=1, checkpointing_steps=1)))
    written = (tmp_path / "run" / "config.yaml").read_bytes()
    with pytest.raises(CheckpointError, match="was written by a run with other networks") as caught:
        SyncNetTrainer(settings(folder, tmp_path / "run", max_train_steps=2, embed_dim=24))
    assert "\n" not in str(caught.value)
    assert (tmp_path / "run" / "config.yaml").read_bytes() == written


def test_an_output_that_cannot_be_written_is_one_line(folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MediaError, match="cannot be written"):
        SyncNetTrainer(settings(folder, tmp_path / "file" / "run"))


def test_the_command_trains_and_logs(folder, tmp_path, capsys):
    (tmp_path / "run.yaml").write_text(
        f"data: {folder}\noutput: {tmp_path / 'run'}\nmax_train_steps: 50\ninput_size: 48\n"
        "block_out_channels: [4, 4, 4, 4, 8]\nembed_dim: 8\nclips_per_batch: 2\n"
        "windows_per_clip: 2\nheld_out_fraction: 0.5\nvalidation_steps: 2\n"
    )
    assert cli.main(["train-syncnet", str(tmp_path / "run.yaml"), "--set", "max_train_steps=3"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'run'}: 3 steps done; see {tmp_path / 'run' / 'model'}\n"
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 3]
    assert {"total", "bce", "learning_rate", "held_out_accuracy", "held_out_choice"} <= lines[0].keys()
    assert isinstance(load_syncnet(tmp_path / "run" / "model"), SyncNet)
    assert cli.main(["train-syncnet", str(tmp_path / "run.yaml"), "--set", "max_steps=3"]) == 1
    assert "`max_steps` is not known; the nearest setting is `max_train_steps`" in capsys.readouterr().err


def test_sounds_of_windows_are_those_of_the_whole_clip(folder):
    data = TrainingSet(folder, 48, 20)
    windows = data.mel(2, 5, 20)["mel_windows"][1::5]
    mel = clip_spectrogram(data.clips[2], data.extractor)
    torch.testing.assert_close(windows[:, None], sync_mel_windows(mel, [5, 10, 15, 20]))
