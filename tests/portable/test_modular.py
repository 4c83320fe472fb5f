"""The blocks for diffusers' `ModularPipeline` give what the pipeline gives."""

import numpy as np
import pytest
import torch
from diffusers import ModularPipeline

from diff2lip_diffusers.portable.modular_diff2lip import Diff2LipBlocks

FRAMES = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
AUDIO = np.random.default_rng(1).uniform(-1, 1, 16000).astype(np.float32)
CALL = {"audio": AUDIO, "sampling_rate": 16000, "fps": 25, "num_inference_steps": 2, "output_type": "np"}


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.fixture
def modular(small_pipe) -> ModularPipeline:
    pipe = Diff2LipBlocks().init_pipeline()
    pipe.update_components(**small_pipe.components)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.mark.parametrize(
    "more", [{}, {"guidance_scale": 1.5, "eta": 1.0}, {"reference_frames": FRAMES[1], "batch_size": 2}]
)
def test_the_blocks_give_what_the_pipeline_gives(small_pipe, modular, more):
    expected = small_pipe(FRAMES, generator=seeded(), **CALL | more).frames
    painted = modular(frames=FRAMES, generator=seeded(), output="painted_frames", **CALL | more)
    np.testing.assert_array_equal(painted, expected)


def test_steps_can_be_left_out(small_pipe):
    """Whoever has the audio embeddings needs no audio encoder."""
    blocks = Diff2LipBlocks()
    blocks.sub_blocks.pop("speech")
    pipe = blocks.init_pipeline()
    pipe.update_components(**small_pipe.components)
    pipe.set_progress_bar_config(disable=True)
    embeds = small_pipe.encode_audio(3, AUDIO, 16000, 25)
    call = {name: CALL[name] for name in ("num_inference_steps", "output_type")}
    painted = pipe(frames=FRAMES, audio_embeds=embeds, generator=seeded(), output="painted_frames", **call)
    np.testing.assert_array_equal(painted, small_pipe(FRAMES, generator=seeded(), **CALL).frames)


def test_a_model_folder_loads(small_pipe, tmp_path):
    small_pipe.register_to_config(painted_fraction=0.25)
    small_pipe.save_pretrained(tmp_path)
    pipe = Diff2LipBlocks().init_pipeline(str(tmp_path))
    pipe.load_components()
    pipe.set_progress_bar_config(disable=True)
    painted = pipe(frames=FRAMES, generator=seeded(), output="painted_frames", **CALL)
    np.testing.assert_allclose(painted, small_pipe(FRAMES, generator=seeded(), **CALL).frames, rtol=0, atol=1e-5)
