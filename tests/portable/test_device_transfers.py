"""A call never waits for its device: on a device that holds no values, whoever reads one fails.

What moves between devices is counted: each batch is uploaded once, however many steps it takes.
"""

import copy
from contextlib import nullcontext

import pytest
import torch
from helpers.untrained import untrained_pipeline
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from diff2lip_diffusers.portable.call_state_diff2lip import PipelineCall
from diff2lip_diffusers.portable.denoising_diff2lip import CropBatch, denoise
from diff2lip_diffusers.schedulers import SCHEDULERS, make_scheduler

COUNT, SIZE, STEPS = 2, 16, 4


class Transfers(TorchDispatchMode):
    """Collects the operations that move values from one device to another."""

    def __init__(self):
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        output = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, output)) if isinstance(leaf, torch.Tensor)]
        if "copy" in str(func) and len({tensor.device for tensor in tensors}) > 1:
            self.found.append(str(func))
        return output


@pytest.fixture(scope="module")
def pipe():
    pipe = untrained_pipeline(sample_size=SIZE)
    pipe.unet.to("meta")
    return pipe


@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_step_loop_reads_nothing_from_the_device_and_uploads_once(pipe, name, monkeypatch):
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # the device has none
    call = PipelineCall(make_scheduler(name, pipe.scheduler.config), {"num_inference_steps": STEPS}, 1, 0.0)
    images = torch.empty(3, COUNT, 3, SIZE, SIZE, device="meta")
    embeds = torch.empty(COUNT, pipe.unet.config.time_embedding_dim, device="meta")
    batch, mask = CropBatch(images[0], images[1], embeds, images[2]), pipe.painted_mask("meta")
    with torch.inference_mode(), Transfers() as transfers:
        painted = denoise(pipe.unet, batch, mask, call, {}, lambda step, timestep, tensors: tensors)
    assert painted.device.type == "meta" and painted.shape == images[0].shape
    assert len(transfers.found) <= 1  # the timesteps


@pytest.mark.parametrize(("num_batches", "steps"), [(1, 4), (2, 1)])
def test_a_call_uploads_each_batch_once(pipe, num_batches, steps, monkeypatch):
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    monkeypatch.setattr(type(pipe), "_execution_device", torch.device("meta"))
    monkeypatch.setattr(pipe, "audio_encoder", copy.deepcopy(pipe.audio_encoder).to("meta"))
    count = num_batches * COUNT
    crops = torch.zeros(2, count, 3, SIZE, SIZE, dtype=torch.uint8)
    windows = torch.zeros(count, 80, 16)
    with Transfers() as transfers:
        painted = pipe(
            crops[0],
            mel_windows=windows,
            reference_frames=crops[1],
            generator=[torch.Generator().manual_seed(5) for _ in range(count)],
            num_inference_steps=steps,
            batch_size=COUNT,
            output_type="pt",
        ).frames
    assert painted.device.type == "meta" and painted.shape == crops[0].shape
    # The noise; and of each batch: mel windows, frames, references and timesteps.
    assert len(transfers.found) <= 1 + 4 * num_batches
