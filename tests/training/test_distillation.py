"""Distillation: the student's steps are the pipeline's, and what a restart or stored results must not change."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DiffusionPipeline
from helpers.training_sets import SETTINGS, write_training_set
from helpers.untrained import untrained_pipeline

from diff2lip_diffusers.errors import MediaError
from diff2lip_diffusers.hub import load_pipeline
from diff2lip_diffusers.schedulers import make_scheduler, original_scheduler
from diff2lip_diffusers.syncnet import SyncNet
from diff2lip_diffusers.training.checkpoints import list_checkpoints
from diff2lip_diffusers.training.config import TrainConfig
from diff2lip_diffusers.training.config_file import config_of, write_config
from diff2lip_diffusers.training.distillation.config import DistillConfig, read_distill_config
from diff2lip_diffusers.training.distillation.distiller import Distiller, distill
from diff2lip_diffusers.training.distillation.objective import coarse_loss, edge_loss
from diff2lip_diffusers.training.distillation.schedule import StudentSchedule
from diff2lip_diffusers.training.distillation.student_batch import student_batch
from diff2lip_diffusers.training.distillation.teacher import StudentSamples, Teacher
from diff2lip_diffusers.training.step_log import LOG_NAME
from diff2lip_diffusers.training.trainer import train

CPU = torch.device("cpu")
SMALL = {
    "max_train_steps": 4,
    "num_inference_steps": 2,
    "teacher_scheduler": "dpmsolver++",
    "teacher_steps": 2,
    "teacher_samples": 3,
    "train_batch_size": 2,
    "learning_rate": 1e-3,
    "lr_warmup_steps": 0,
    "lr_scheduler": "constant",
    "held_out_fraction": 0.0,
    "cache": "memory",
    "checkpointing_steps": 2,
    "validation_steps": 0,
    "report_to": "none",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_training_set(tmp_path_factory.mktemp("data") / "set")


@pytest.fixture(scope="module")
def teacher(data, tmp_path_factory) -> str:
    output = tmp_path_factory.mktemp("teacher")
    list(train(config_of(TrainConfig, SETTINGS | {"data": str(data), "output": str(output), "max_train_steps": 2})))
    return str(output / "model")


@pytest.fixture
def configure(data, teacher, tmp_path):
    """A distillation of a few small steps."""

    def configure(output: str = "run", **changes) -> DistillConfig:
        own = {"data": str(data), "output": str(tmp_path / output), "teacher": teacher}
        return config_of(DistillConfig, SMALL | own | changes)

    return configure


def losses_of(config: DistillConfig, **settings) -> list[dict[str, float]]:
    return [record.losses | {"grad_norm": record.grad_norm} for record in distill(config, **settings)]


def assert_same(records: list[dict], others: list[dict], tolerance: float = 1e-6):
    assert len(records) == len(others) and records
    for record, other in zip(records, others, strict=True):
        assert record == pytest.approx(other, rel=tolerance, abs=tolerance)


def batch_of(samples: Any, count: int) -> dict[str, torch.Tensor]:
    items = [samples[number] for number in range(count)]
    return {name: torch.stack([item[name] for item in items]) for name in items[0]}


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_the_schedule_is_the_first_part_of_the_models(steps):
    schedule, full = StudentSchedule(steps, 700), original_scheduler()
    torch.testing.assert_close(schedule.scheduler.alphas_cumprod, full.alphas_cumprod[:700], rtol=1e-5, atol=0)
    assert schedule.timesteps.tolist() == [700 - k * 700 // steps - 1 for k in range(steps)]


def test_the_student_learns_from_what_the_pipeline_would_show_it(configure):
    """The sample that the student gets after some steps is the one in the pipeline's loop."""
    distiller = Distiller(configure(num_inference_steps=4, frames_per_sample=5))
    samples = batch_of(distiller.data, 4)
    # Each sample is before another step.
    samples["draw"] = (torch.arange(4) + 0.5) / 4
    batch = student_batch(samples, samples["frames"].flatten(0, 1), distiller.schedule, distiller.denoiser)
    seen = [batch.noise]

    def keep(pipe, step, timestep, tensors):
        seen.append(tensors["latents"])
        return {}

    pipe = distiller._pipeline()
    pipe(
        (batch.frames + 1) / 2,
        mel_windows=batch.mel_windows,
        reference_frames=(batch.references + 1) / 2,
        latents=batch.noise,
        output_type="pt",
        callback_on_step_end=keep,
    )
    distiller.close()
    assert len(seen) == 5 and batch.timesteps.tolist() == [time for time in (499, 374, 249, 124) for _ in range(5)]
    for number in range(4):
        rows = slice(5 * number, 5 * number + 5)
        torch.testing.assert_close(batch.noisy[rows], seen[number][rows], rtol=1e-4, atol=1e-5)
    assert not batch.noisy.requires_grad


def test_the_last_step_predicts_what_the_students_folder_paints(configure):
    """With the student's prediction at its last step as the target, the loss is 0."""
    config = configure(max_train_steps=1)
    losses_of(config)
    pipe = load_pipeline(Path(config.output) / "model", "cpu", "fp32")
    assert isinstance(pipe.scheduler, DDIMScheduler) and pipe.config["default_num_inference_steps"] == 2
    assert pipe.scheduler.config["num_train_timesteps"] == config.first_timestep
    distiller = Distiller(config)
    samples = batch_of(distiller.data, 2) | {"draw": torch.full((2,), 0.9)}
    own = config_of(DistillConfig, SMALL | {"data": config.data, "output": config.output + "-own"} | {
        "teacher": str(Path(config.output) / "model"), "teacher_scheduler": None, "teacher_steps": None
    })  # fmt: skip
    painted = Teacher(own, 16, CPU).targets(samples)
    # Files hold 16 bits.
    with distiller._averaged_weights():
        batch = student_batch(samples, painted, distiller.schedule, distiller.denoiser)
        found = batch.painted(batch.x0(distiller.denoiser(batch)[:, :3]))
    distiller.close()
    torch.testing.assert_close(found, painted, rtol=0, atol=1e-3)


def test_the_teacher_paints_with_its_settings_and_guidance(configure, tmp_path):
    untrained_pipeline(sample_size=16).save_pretrained(tmp_path / "teacher")
    config = configure(teacher_samples=0, guidance_scale=2.0, teacher=str(tmp_path / "teacher"))
    samples = batch_of(StudentSamples(config.folders, 16, 1), 2)
    found = Teacher(config, 16, CPU).targets(samples)
    pipe: Any = DiffusionPipeline.from_pretrained(tmp_path / "teacher")
    pipe.scheduler = make_scheduler("dpmsolver++", pipe.scheduler.config)
    settings = {"num_inference_steps": 2, "latents": samples["noise"], "output_type": "pt"}
    settings |= {"mel_windows": samples["mel_windows"][:, 0], "reference_frames": (samples["reference"] + 1) / 2}
    guided, plain = (pipe((samples["frames"][:, 0] + 1) / 2, guidance_scale=w, **settings).frames for w in (2, 1))
    torch.testing.assert_close((found + 1) / 2, guided, rtol=0, atol=1e-4)
    assert (guided - plain).abs().max() > 1e-3


def test_a_student_gets_nearer_to_its_teacher(configure):
    settings = {"max_train_steps": 15, "teacher_samples": 2, "train_batch_size": 2, "num_inference_steps": 1}
    records = losses_of(configure(**settings))
    assert records[-1]["teacher"] < records[0]["teacher"] / 2
    assert set(records[0]) == {"teacher", "total", "grad_norm"}


def test_a_resumed_run_repeats_the_losses(configure):
    whole = losses_of(configure("whole"))
    stopped = losses_of(configure("parts", max_train_steps=2))
    assert_same(stopped + losses_of(configure("parts")), whole)


def test_each_result_is_painted_once_and_the_same_when_it_is_read(configure):
    config = configure()
    samples = batch_of(StudentSamples(config.folders, 16, 1, count=2), 3)
    painted = Teacher(config, 16, CPU).targets(samples)
    files = sorted((Path(config.output) / "targets").rglob("*.npy"))
    assert [path.stem for path in files] == ["00000000", "00000001"]
    assert torch.equal(painted[0], painted[2]) and not torch.equal(painted[0], painted[1])
    torch.testing.assert_close(
        painted[:2], Teacher(configure(teacher_samples=0), 16, CPU).targets(samples)[:2], rtol=0, atol=1e-3
    )
    times = [path.stat().st_mtime_ns for path in files]
    other = Teacher(configure("other", targets=str(Path(config.output) / "targets")), 16, CPU)
    assert torch.equal(other.targets(samples), painted)
    assert [path.stat().st_mtime_ns for path in files] == times
    files[1].write_bytes(files[1].read_bytes()[:50])
    with pytest.raises(MediaError, match=r"00000001\.npy: is damaged; delete it"):
        other.targets(samples)


def test_results_of_another_teacher_or_of_other_samples_are_not_taken(configure):
    changed = ({}, {"teacher_steps": 1}, {"seed": 1}, {"guidance_scale": 2.0}, {"jitter": 0.0})
    folders = [Teacher(configure(**changes), 16, CPU).stored for changes in (*changed, {})]
    assert len(set(folders)) == 5 and folders[0] == folders[-1]


def test_samples_repeat_but_their_steps_are_drawn_anew(data):
    samples = StudentSamples(str(data), 16, 1, count=5)
    first, again = samples[2], samples[7]
    assert all(torch.equal(first[name], again[name]) for name in first if name != "draw")
    assert first["draw"] != again["draw"] and first["number"] == 2
    assert not torch.equal(samples[3]["noise"], first["noise"])


def test_all_losses_at_once(configure, tmp_path):
    torch.manual_seed(0)
    syncnet = SyncNet(input_size=48, block_out_channels=(8, 8, 8, 8, 8), embed_dim=16)
    syncnet.save_pretrained(tmp_path / "syncnet")
    weights = {"edge_weight": 0.5, "coarse_weight": 0.3, "syncnet_weight": 0.1, "adversarial_weight": 0.1}
    settings = {"syncnet": str(tmp_path / "syncnet"), "losses": weights, "frames_per_sample": 5}
    config = configure(max_train_steps=1, validation_steps=1, **settings)
    [record] = losses_of(config)
    names = {"teacher": 1, "edge": 0.5, "coarse": 0.3, "syncnet": 0.1, "adversarial": 0.1}
    assert record["total"] == pytest.approx(sum(weight * record[name] for name, weight in names.items()), rel=1e-5)
    assert set(record) == {*names, "discriminator", "total", "grad_norm"}
    names = sorted(path.name for path in (Path(config.output) / "samples").iterdir())
    assert names == ["step-00000001.mp4", "step-00000001.png"]


def test_the_edge_loss_is_that_of_numpy():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 2, 3, 8, 8))
    mask = np.zeros((8, 8))
    mask[4:] = 1
    error = ((one - other) * mask).astype(np.float64)
    down, across = np.diff(error, axis=-2) ** 2, np.diff(error, axis=-1) ** 2
    expected = down[:, :, 3:].mean((1, 2, 3)) + across[:, :, 4:].mean((1, 2, 3))
    found = edge_loss(torch.tensor(one), torch.tensor(other), torch.tensor(mask)[None, None])
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


def test_the_coarse_loss_sees_colors_and_no_detail():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 2, 3, 32, 32))
    weight = np.zeros((32, 32))
    weight[16:] = rng.uniform(1, 2, (16, 32))
    squares = ((one - other)[:, :, 16:].reshape(2, 3, 2, 8, 4, 8).mean((3, 5))) ** 2
    weights = weight[16:].reshape(2, 8, 4, 8).mean((1, 3))
    expected = (squares.mean(1) * weights).sum((1, 2)) / weights.sum()
    found = coarse_loss(*(torch.tensor(values) for values in (one, other, weight[None, None])))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)
    stripes = torch.tensor(other) + torch.tensor([1.0, -1.0]).repeat(16)
    assert coarse_loss(stripes, torch.tensor(other), torch.tensor(weight)[None, None]).max() < 1e-12


def test_a_student_can_be_an_adapter(configure, teacher):
    pytest.importorskip("peft")
    config = configure(lora={"rank": 2}, learning_rate=0.1)
    losses_of(config)
    folder = Path(config.output) / "lora"
    assert sorted(path.name for path in folder.iterdir()) == ["pytorch_lora_weights.safetensors", "scheduler"]
    pipe: Any = load_pipeline(teacher, "cpu", "fp32")
    pipe.scheduler = DDIMScheduler.from_pretrained(folder / "scheduler")
    frames = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    settings = {"mel_windows": torch.zeros(1, 80, 16), "num_inference_steps": 2, "output_type": "pt"}
    settings["latents"] = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    plain = pipe(frames, **settings).frames
    pipe.load_lora_weights(folder)
    assert (pipe(frames, **settings).frames - plain).abs().max() > 1e-4


def test_true_frames_alone_teach_a_student_and_its_discriminator(configure):
    losses = {"teacher_weight": 0, "x0_weight": 2, "x0_edge_weight": 1, "adversarial_weight": 0.1}
    config = configure(losses=losses)
    records = losses_of(config)
    assert not (Path(config.output) / "targets").exists()
    for record in records:
        weighted = 2 * record["x0"] + record["x0_edge"] + 0.1 * record["adversarial"]
        assert record["total"] == pytest.approx(weighted, rel=1e-5)
        assert record["discriminator"] > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"first_timestep": 701}, "`first_timestep` is 701, expected a multiple of `num_inference_steps`, which is 2"),
        ({"teacher_scheduler": "fast"}, "`teacher_scheduler` is 'fast', known are ddim"),
        ({"num_inference_steps": 0}, "`num_inference_steps` is 0, expected 1 to 1000"),
        ({"losses": {"syncnet_weight": -1}}, "`losses.syncnet_weight` is -1"),
        ({"syncnet": "net", "losses": {"syncnet_weight": 1}}, "`frames_per_sample` is 1, but SyncNet needs 5"),
        ({"losses": {"teacher_weight": 0}}, "`losses.teacher_weight` and `losses.x0_weight` are 0"),
        ({"timestep_bias_begin": 3}, "`timestep_bias_begin` is not known"),
    ],
)
def test_bad_settings_are_one_line(configure, changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        configure(**changes)
    assert "\n" not in str(caught.value)


# Slow: real processes


def _logged(log: Path) -> list[dict]:
    return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.mark.slow
def test_a_run_that_is_killed_repeats_the_losses_when_it_goes_on(configure, tmp_path):
    settings = {"max_train_steps": 20, "checkpointing_steps": 10, "teacher_samples": 25}
    whole = losses_of(configure("whole", **settings))
    config = configure("killed", **settings)
    write_config(config, tmp_path / "run.yaml")
    assert read_distill_config(tmp_path / "run.yaml") == config
    command = [sys.executable, "-m", "diff2lip_diffusers", "distill", str(tmp_path / "run.yaml"), "--log-every", "1"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    log = Path(config.output) / LOG_NAME
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    while not list_checkpoints(config.output) or len(log.read_text().splitlines()) < 12:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    subprocess.run(command, env=environment, check=True, stderr=subprocess.DEVNULL)
    again = {record["step"]: record for record in _logged(log)}
    assert list(again) == list(range(1, 21))
    for step, expected in enumerate(whole, start=1):
        assert {name: again[step][name] for name in expected} == pytest.approx(expected, rel=1e-5, abs=1e-5)


@pytest.mark.slow
def test_two_processes_learn_like_one_with_twice_the_batch(configure, tmp_path):
    whole = losses_of(configure("one", train_batch_size=4, teacher_samples=12))
    config = configure("two", train_batch_size=2, teacher_samples=12)
    write_config(config, tmp_path / "run.yaml")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = str(sock.getsockname()[1])
    launch = [str(Path(sys.executable).with_name("accelerate")), "launch", "--multi_gpu", "--num_processes", "2"]
    command = ["-m", "diff2lip_diffusers", "distill", str(tmp_path / "run.yaml"), "--log-every", "1"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([*launch, "--main_process_port", port, *command], env=environment, check=True)
    for record, expected in zip(_logged(Path(config.output) / LOG_NAME), whole, strict=True):
        assert {name: record[name] for name in expected} == pytest.approx(expected, rel=1e-3, abs=1e-5)
