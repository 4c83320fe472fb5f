"""Fixtures for all tests: tiny pipelines."""

import pytest
import torch
from helpers.recorded import HEAD_CHANNELS, original_state_dict
from helpers.untrained import untrained_pipeline

from diff2lip_diffusers import Diff2LipFeatureExtractor, Diff2LipPipeline
from diff2lip_diffusers.original_checkpoint import components_from_original
from diff2lip_diffusers.schedulers import original_scheduler

# Threads that wait for each other are many times slower on a busy machine, and results depend on their number.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_state_dict() -> dict[str, torch.Tensor]:
    return original_state_dict("tiny")


@pytest.fixture(scope="session")
def tiny_components(tiny_state_dict):
    """U-Net and audio encoder, shared by all tests; a test that changes them makes a deep copy."""
    return components_from_original(tiny_state_dict, HEAD_CHANNELS["tiny"])


@pytest.fixture
def tiny_pipe(tiny_components) -> Diff2LipPipeline:
    """A pipeline with the shared components and a scheduler of its own."""
    pipe = Diff2LipPipeline(*tiny_components, Diff2LipFeatureExtractor(), original_scheduler())
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture
def small_pipe() -> Diff2LipPipeline:
    """A fast, untrained pipeline for crops of 16 x 16 pixels, for tests that need no recorded numbers."""
    pipe = untrained_pipeline(sample_size=16)
    pipe.scheduler = original_scheduler()
    return pipe
