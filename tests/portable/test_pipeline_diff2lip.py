"""The pipeline: recorded samples, all schedulers, all forms of input, and the conventions of diffusers."""

import numpy as np
import PIL.Image
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DiffusionPipeline, FlowMatchEulerDiscreteScheduler
from helpers.recorded import DATA
from safetensors.torch import load_file

from diff2lip_diffusers import Diff2LipPipeline
from diff2lip_diffusers.portable import pipeline_diff2lip

SPEECH = np.random.default_rng(1).standard_normal(16000).astype(np.float32) * 0.1


@pytest.fixture(scope="module")
def recorded():
    return load_file(DATA / "tiny_sampling.safetensors")


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)


def seeded(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sample(pipe, recorded, steps: int) -> torch.Tensor:
    """Samples in [-1, 1] for the recorded inputs, whose masked frames hold the noise already."""
    clean = torch.where(recorded["mask"] > 0, 0.0, recorded["cond_img"])
    output = pipe(
        (clean / 2 + 0.5).clamp(0, 1),
        mel_windows=recorded["indiv_mels"],
        reference_frames=(recorded["ref_img"] / 2 + 0.5).clamp(0, 1),
        latents=recorded["noise"],
        num_inference_steps=steps,
        output_type="pt",
    )
    return 2 * output.frames - 1


def painted_error(actual: torch.Tensor, expected: torch.Tensor) -> float:
    return (actual - expected)[:, :, 32:].abs().max().item()


@pytest.mark.parametrize("steps", [25, 5])
def test_ddim_matches_the_recorded_samples(tiny_pipe, recorded, steps):
    assert painted_error(sample(tiny_pipe, recorded, steps), recorded[f"ddim{steps}"]) < 1e-4


def test_ancestral_sampling_with_learned_variance_matches_the_recorded_samples(tiny_pipe, recorded, monkeypatch):
    class OneNoisePerBatch(DDPMScheduler):
        """The recording drew one noise for the whole batch from torch's global generator."""

        def step(self, *args, generator=None, **kwargs):
            return super().step(*args, **kwargs)

    tiny_pipe.scheduler = OneNoisePerBatch.from_config(
        tiny_pipe.scheduler.config, variance_type="learned_range", timestep_spacing="linspace"
    )
    tiny_pipe.scheduler.set_timesteps(25)
    assert tiny_pipe.scheduler.timesteps.tolist() == recorded["ddpm25_timesteps"].flip(0).tolist()
    monkeypatch.setattr(pipeline_diff2lip, "drawn_generator", torch.Generator)
    torch.manual_seed(99)
    assert painted_error(sample(tiny_pipe, recorded, 25), recorded["ddpm25_seed99"]) < 1e-4


def test_the_noise_of_a_seed_is_that_of_the_original(tiny_pipe):
    torch.manual_seed(7)
    expected = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(tiny_pipe.prepare_latents(4, seeded(7)), expected.expand(4, -1, -1, -1), rtol=0, atol=0)
    torch.manual_seed(7)
    torch.testing.assert_close(tiny_pipe.prepare_latents(1), expected, rtol=0, atol=0)


SCHEDULERS = [
    "DDIM", "DDPM", "DPMSolverMultistep", "DPMSolverSinglestep", "UniPCMultistep", "DEISMultistep", "EulerDiscrete",
    "EulerAncestralDiscrete", "HeunDiscrete", "LMSDiscrete", "PNDM", "KDPM2Discrete", "SASolver", "LCM", "TCD",
]  # fmt: skip


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_scheduler_paints_alike_in_any_batch(small_pipe, frames, name):
    import diffusers

    frames = frames[:4]
    small_pipe.scheduler = getattr(diffusers, f"{name}Scheduler").from_config(small_pipe.scheduler.config)
    outputs = [
        small_pipe(
            frames, SPEECH, num_inference_steps=4, generator=seeded(), batch_size=batch_size, output_type="np"
        ).frames
        for batch_size in (1, 3, None)
    ]
    assert np.isfinite(outputs[0]).all()
    np.testing.assert_array_equal((outputs[0][:, :8] * 255).round().astype(np.uint8), frames[:, :8])
    for output in outputs[:2]:
        np.testing.assert_allclose(output, outputs[2], atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("steps", [4, 10])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_scheduler_with_the_recorded_model(tiny_pipe, name, steps):
    import diffusers

    frames = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    tiny_pipe.scheduler = getattr(diffusers, f"{name}Scheduler").from_config(tiny_pipe.scheduler.config)
    arguments = {"num_inference_steps": steps, "output_type": "np"}
    outputs = [
        tiny_pipe(frames, SPEECH, generator=seeded(), batch_size=size, **arguments).frames for size in (1, 3, None)
    ]
    assert np.isfinite(outputs[0]).all()
    np.testing.assert_array_equal((outputs[0][:, :32] * 255).round().astype(np.uint8), frames[:, :32])
    # Convolutions over other batch sizes differ by rounding, which random weights amplify.
    for output in outputs[:2]:
        np.testing.assert_allclose(output, outputs[2], atol=2e-3)


def test_equal_frames_with_equal_speech_get_equal_mouths_from_a_stochastic_scheduler(small_pipe, frames):
    small_pipe.scheduler = DDPMScheduler.from_config(small_pipe.scheduler.config)
    same, windows = np.repeat(frames[:1], 2, axis=0), torch.zeros(1, 80, 16)
    output = small_pipe(same, mel_windows=windows, num_inference_steps=4, generator=seeded(), output_type="np").frames
    np.testing.assert_allclose(output[0], output[1], atol=1e-4)


def test_one_generator_per_frame(small_pipe, frames):
    def run(generator, batch_size):
        return small_pipe(
            frames[:3], SPEECH, num_inference_steps=2, generator=generator, batch_size=batch_size, output_type="np"
        ).frames

    small_pipe.scheduler = DDPMScheduler.from_config(small_pipe.scheduler.config)
    together = run([seeded(1), seeded(2), seeded(1)], None)
    np.testing.assert_allclose(run([seeded(1), seeded(2), seeded(1)], 2), together, atol=1e-3)
    assert np.abs(together[0, 8:] - run([seeded(2)], None)[0, 8:]).max() > 0.05
    with pytest.raises(ValueError, match="`generator` is a list of 2, expected 1 or 3"):
        run([seeded(1), seeded(2)], None)


def test_generator_moves_on_between_calls_and_the_seed_repeats(small_pipe, frames):
    def run(generator):
        return small_pipe(frames[:1], SPEECH, num_inference_steps=1, generator=generator, output_type="np").frames

    generator = seeded()
    first, second = run(generator), run(generator)
    assert np.abs(first - second).max() > 0.05
    np.testing.assert_array_equal(run(seeded()), first)
    torch.manual_seed(5)
    third = run(None)
    torch.manual_seed(5)
    np.testing.assert_array_equal(run(None), third)


def test_every_form_of_frames_gives_the_same(small_pipe, frames):
    frames = frames[:2]
    tensor = torch.from_numpy(frames).permute(0, 3, 1, 2)
    forms = [
        frames,
        frames.astype(np.float64) / 255,
        tensor,
        tensor.float() / 255,
        [PIL.Image.fromarray(frame) for frame in frames],
        list(frames),
        list(tensor),
    ]
    expected = small_pipe.prepare_frames(frames, "frames")
    assert expected.shape == (2, 3, 16, 16)
    for form in forms:
        torch.testing.assert_close(small_pipe.prepare_frames(form, "frames"), expected)


def test_frames_of_other_sizes_are_resized(small_pipe):
    images = [PIL.Image.new("RGB", size, (10, 200, 30)) for size in ((100, 80), (31, 16))]
    prepared = small_pipe.prepare_frames(images, "frames")
    expected = torch.tensor([10, 200, 30])[None, :, None, None].expand(2, 3, 16, 16) / 255
    torch.testing.assert_close(prepared, expected)


def test_output_types_agree(small_pipe, frames):
    def run(output_type):
        return small_pipe(
            frames[:2], SPEECH, num_inference_steps=1, generator=seeded(), output_type=output_type
        ).frames

    pil, array, tensor = run("pil"), run("np"), run("pt")
    assert [image.size for image in pil] == [(16, 16)] * 2
    assert array.dtype == np.float32
    np.testing.assert_array_equal(tensor.permute(0, 2, 3, 1).numpy(), array)
    images = np.stack([np.asarray(image) for image in pil])
    np.testing.assert_array_equal(images, (array * 255).round().astype(np.uint8))
    np.testing.assert_array_equal(np.asarray(pil[0])[:8], frames[0, :8])


def test_audio_windows_and_embeddings_are_three_ways_to_the_same(small_pipe, frames):
    def run(**audio):
        return small_pipe(frames, num_inference_steps=1, generator=seeded(), output_type="np", **audio).frames

    windows = small_pipe.feature_extractor(SPEECH, fps=30, num_frames=5).mel_windows
    embeds = small_pipe.audio_encoder(windows)
    expected = run(audio=SPEECH, sampling_rate=16000, fps=30)
    np.testing.assert_allclose(run(mel_windows=windows), expected, atol=1e-5)
    np.testing.assert_allclose(run(audio_embeds=embeds.detach()), expected, atol=1e-4)


def test_audio_is_encoded_once_per_frame(small_pipe, frames):
    seen = []
    hook = small_pipe.audio_encoder.register_forward_hook(lambda module, args, output: seen.append(len(output)))
    try:
        small_pipe(frames, SPEECH, num_inference_steps=3, batch_size=2)
    finally:
        hook.remove()
    assert sum(seen) == 5


def test_reference_frames_default_to_the_frames_and_may_be_one(small_pipe, frames):
    def run(**reference):
        return small_pipe(
            frames[:2], SPEECH, num_inference_steps=1, generator=seeded(), output_type="np", **reference
        ).frames

    np.testing.assert_array_equal(run(), run(reference_frames=frames[:2]))
    np.testing.assert_array_equal(
        run(reference_frames=PIL.Image.fromarray(frames[4])), run(reference_frames=frames[[4, 4]])
    )
    assert np.abs(run() - run(reference_frames=frames[4])).max() > 1e-3


def test_callback_sees_every_step_and_may_replace_the_latents(small_pipe, frames):
    calls = []

    def callback(pipe, step, timestep, tensors):
        calls.append((step, int(timestep), tuple(tensors)))
        return {"latents": torch.zeros_like(tensors["latents"])}

    output = small_pipe(
        frames[:2], SPEECH, num_inference_steps=2, batch_size=1, output_type="np", callback_on_step_end=callback
    ).frames
    assert calls == [(0, 500, ("latents",)), (1, 0, ("latents",))] * 2
    np.testing.assert_array_equal(output[:, 8:], 0.5)


def test_progress_bar_counts_all_steps_of_all_batches(small_pipe, frames, capsys):
    small_pipe.set_progress_bar_config(disable=False)
    small_pipe(frames[:3], SPEECH, num_inference_steps=2, batch_size=2)
    assert "4/4" in capsys.readouterr().err


def test_tuple_output(small_pipe, frames):
    (output,) = small_pipe(frames[:1], SPEECH, num_inference_steps=1, return_dict=False)
    assert isinstance(output[0], PIL.Image.Image)


def test_default_steps_come_from_the_configuration(tiny_components, frames):
    from diff2lip_diffusers import Diff2LipFeatureExtractor

    pipe = Diff2LipPipeline(
        *tiny_components, Diff2LipFeatureExtractor(), DDIMScheduler(), default_num_inference_steps=2
    )
    pipe.set_progress_bar_config(disable=True)
    pipe(frames[:1], SPEECH)
    assert pipe.num_timesteps == 2


def test_saved_folder_loads_through_diffusers(small_pipe, frames, tmp_path):
    small_pipe.save_pretrained(tmp_path)
    again = DiffusionPipeline.from_pretrained(tmp_path)
    assert type(again) is Diff2LipPipeline
    again.set_progress_bar_config(disable=True)
    arguments = {"num_inference_steps": 2, "output_type": "np"}
    np.testing.assert_allclose(
        again(frames, SPEECH, generator=seeded(), **arguments).frames,
        small_pipe(frames, SPEECH, generator=seeded(), **arguments).frames,
        atol=1e-3,
    )


def test_components_pass_between_pipelines(small_pipe, tmp_path):
    small_pipe.save_pretrained(tmp_path)
    loaded = DiffusionPipeline.from_pretrained(tmp_path, unet=small_pipe.unet)
    again = Diff2LipPipeline.from_pipe(small_pipe)
    rebuilt = Diff2LipPipeline(**small_pipe.components)
    assert loaded.unet is again.unet is rebuilt.unet is small_pipe.unet


def test_half_precision_weights_stay_close(small_pipe, frames, tmp_path):
    small_pipe.save_pretrained(tmp_path)
    half = DiffusionPipeline.from_pretrained(tmp_path, dtype=torch.bfloat16)
    half.set_progress_bar_config(disable=True)
    arguments = {"num_inference_steps": 1, "output_type": "np"}
    output, expected = (pipe(frames, SPEECH, generator=seeded(), **arguments).frames for pipe in (half, small_pipe))
    assert np.abs(output - expected).mean() < 0.02


BAD_CALLS = [
    ({"frames": []}, "`frames` is empty"),
    ({"frames": "face.png"}, "`frames` is a str"),
    ({"frames": np.zeros((2, 3, 16, 16), np.uint8)}, r"`frames` has shape \(2, 3, 16, 16\), expected \(N, H, W, 3\)"),
    ({"frames": torch.zeros(2, 16, 16, 3)}, r"expected \(N, 3, H, W\)"),
    ({"frames": np.full((1, 16, 16, 3), 200.0)}, r"`frames` has values in \[200.0, 200.0\]"),
    ({"frames": np.full((1, 16, 16, 3), np.nan)}, "`frames` has values"),
    ({"frames": np.zeros((1, 16, 16, 3), np.int64)}, "`frames` has type torch.int64"),
    ({"reference_frames": np.zeros((2, 16, 16, 3), np.uint8)}, "`reference_frames` has 2 entries, expected 1 or 5"),
    ({"audio": None}, "one of `audio`, `mel_windows` and `audio_embeds` is needed, 0 are given"),
    ({"mel_windows": torch.zeros(5, 80, 16)}, "2 are given"),
    ({"audio": None, "mel_windows": torch.zeros(4, 80, 16)}, "`mel_windows` has 4 entries"),
    ({"audio": None, "mel_windows": torch.zeros(5, 16, 80)}, r"`mel_windows` has shape \(5, 16, 80\)"),
    ({"audio": None, "audio_embeds": torch.zeros(5, 64)}, r"`audio_embeds` has shape \(5, 64\)"),
    ({"latents": torch.zeros(2, 3, 16, 16)}, "`latents` has 2 entries"),
    ({"latents": torch.zeros(1, 3, 8, 8)}, r"`latents` has shape \(1, 3, 8, 8\)"),
    ({"num_inference_steps": 0}, "`num_inference_steps` is 0"),
    ({"num_inference_steps": "4"}, "`num_inference_steps` is '4'"),
    ({"generator": 7}, "`generator` is 7, expected a torch.Generator"),
    ({"generator": []}, r"`generator` is \[\]"),
    ({"num_inference_steps": 2.5}, "`num_inference_steps` is 2.5"),
    ({"batch_size": -1}, "`batch_size` is -1"),
    ({"eta": 1.5}, "`eta` is 1.5"),
    ({"output_type": "latent"}, "`output_type` is 'latent'"),
    ({"callback_on_step_end_tensor_inputs": ("sample",)}, "`callback_on_step_end_tensor_inputs` has 'sample'"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), BAD_CALLS)
def test_bad_arguments_are_named(small_pipe, frames, arguments, message):
    with pytest.raises(ValueError, match=message):
        small_pipe(**({"frames": frames, "audio": SPEECH} | arguments))


def test_scheduler_of_another_kind_of_model_is_named(small_pipe, frames):
    small_pipe.scheduler = FlowMatchEulerDiscreteScheduler.from_config(small_pipe.scheduler.config)
    with pytest.raises(ValueError, match="`scheduler` is a FlowMatchEulerDiscreteScheduler"):
        small_pipe(frames, SPEECH)
