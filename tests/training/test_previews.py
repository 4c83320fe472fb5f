"""Samples while training: the grid and the short video show what the pipeline paints."""

import numpy as np
import PIL.Image
import torch
from helpers.training_sets import write_training_set
from helpers.untrained import untrained_pipeline

from diff2lip_diffusers.media.reader import probe_video, read_audio
from diff2lip_diffusers.training.previews import write_previews
from diff2lip_diffusers.training.training_set import TrainingSet


def test_a_grid_of_four_columns_and_a_video_beside_the_truth(tmp_path):
    data = TrainingSet(write_training_set(tmp_path / "set", (8, 12)), 16, frames_per_sample=1)
    pipe = untrained_pipeline(sample_size=32)
    pipe.register_to_config(default_num_inference_steps=2)
    scheduler = pipe.scheduler
    pipe.unet.train()
    write_previews(pipe, data, tmp_path / "samples", 30)

    grid = np.asarray(PIL.Image.open(tmp_path / "samples" / "step-00000030.png"))
    assert grid.shape == (2 * 128, 4 * 128, 3)
    masked, reference, painted, truth = np.split(grid[:128], 4, axis=1)
    frame = ((data.sized(data.read(0, 4, 1))[0] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    assert np.array_equal(truth[::8, ::8], frame)
    assert np.array_equal(masked[:64], truth[:64]) and not masked[64:].any()
    assert np.array_equal(painted[:64], truth[:64]) and not np.array_equal(painted[64:], truth[64:])
    last = ((data.sized(data.read(0, 7, 1))[0] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    assert np.array_equal(reference[::8, ::8], last)

    video = tmp_path / "samples" / "step-00000030.mp4"
    info = probe_video(video)
    assert (info.width, info.height, info.fps) == (256, 128, 25)
    samples, sampling_rate = read_audio(video)
    assert len(samples) / sampling_rate == 8 / 25
    # Everything is as it was before.
    assert pipe.unet.training and pipe.scheduler is scheduler and pipe.unet.config.sample_size == 32
    assert torch.is_grad_enabled()
