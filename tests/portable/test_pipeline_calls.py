"""Calls of one pipeline: in several threads, interrupted, failed, and with schedules and schedulers of their own."""

import inspect
import threading
from concurrent.futures import ThreadPoolExecutor

import diffusers
import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler, UniPCMultistepScheduler
from diffusers.callbacks import MultiPipelineCallbacks, PipelineCallback, SDCFGCutoffCallback

FRAMES = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
WINDOWS = torch.from_numpy(np.random.default_rng(1).uniform(-4, 4, (2, 80, 16)).astype(np.float32))


def sample(pipe, steps: int = 2, seed: int = 3, **call) -> np.ndarray:
    generator = torch.Generator().manual_seed(seed)
    return pipe(
        FRAMES, mel_windows=WINDOWS, num_inference_steps=steps, generator=generator, output_type="np", **call
    ).frames


@pytest.mark.parametrize(
    ("threads", "turns"), [(3, 2), pytest.param(8, 10, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_threads_with_three_schedulers_get_what_they_get_alone(small_pipe, threads, turns):
    config = small_pipe.scheduler.config
    schedulers = [
        kind.from_config(config) for kind in (DDIMScheduler, DPMSolverMultistepScheduler, UniPCMultistepScheduler)
    ]
    calls = [
        {"steps": 2 + (thread + turn) % 4, "seed": thread, "scheduler": schedulers[(thread + turn) % 3]}
        | ({"guidance_scale": 2.0} if turn % 5 == 0 else {})
        for thread in range(threads)
        for turn in range(turns)
    ]
    expected = [sample(small_pipe, **call) for call in calls]
    together = threading.Barrier(threads)

    def run(thread: int) -> list[np.ndarray]:
        together.wait()
        return [sample(small_pipe, **call) for call in calls[thread * turns :][:turns]]

    with ThreadPoolExecutor(threads) as pool:
        outputs = [output for outputs in pool.map(run, range(threads)) for output in outputs]
    for output, alone in zip(outputs, expected, strict=True):
        np.testing.assert_array_equal(output, alone)


def test_a_call_leaves_the_scheduler_as_it_is(small_pipe):
    small_pipe.scheduler = DPMSolverMultistepScheduler.from_config(small_pipe.scheduler.config)
    before = {name: value for name, value in vars(small_pipe.scheduler).items() if not torch.is_tensor(value)}
    sample(small_pipe, 3)
    assert {name: vars(small_pipe.scheduler)[name] for name in before} == before
    assert small_pipe.num_timesteps == 3


def test_a_pipeline_works_after_an_exception(small_pipe):
    small_pipe.scheduler = DPMSolverMultistepScheduler.from_config(small_pipe.scheduler.config)
    expected = sample(small_pipe, 4)

    def fail(pipe, step, timestep, tensors):
        if step == 2:
            raise RuntimeError("a mistake in a callback")

    with pytest.raises(RuntimeError, match="a mistake"):
        sample(small_pipe, 4, callback_on_step_end=fail)
    np.testing.assert_array_equal(sample(small_pipe, 4), expected)


def test_the_state_of_a_call_has_diffusers_names(small_pipe):
    seen = []

    def look(pipe, step, timestep, tensors):
        seen.append((pipe.num_timesteps, pipe.guidance_scale, pipe.do_classifier_free_guidance, pipe.interrupt))
        return {}

    assert (small_pipe.num_timesteps, small_pipe.guidance_scale, small_pipe.interrupt) == (0, 1, False)
    sample(small_pipe, 2, callback_on_step_end=look, guidance_scale=1.5, guidance_rescale=0.5)
    assert seen == [(2, 1.5, True, False)] * 2
    assert small_pipe.guidance_rescale == 0.5


def test_an_interrupted_call_stops_at_the_next_step_and_the_next_call_does_not(small_pipe):
    seen = []

    def stop(pipe, step, timestep, tensors):
        seen.append(step)
        pipe._interrupt = step == 1
        return {}

    output = sample(small_pipe, 4, callback_on_step_end=stop)
    assert seen == [0, 1] and output.shape == (2, 16, 16, 3) and small_pipe.interrupt
    assert not np.array_equal(output, sample(small_pipe, 4))
    assert not small_pipe.interrupt


class KeepsSpeech(PipelineCallback):
    """Notes what it gets."""

    tensor_inputs = ["audio_embeds"]

    def callback_fn(self, pipeline, step_index, timestep, callback_kwargs):
        assert step_index < pipeline.num_timesteps == 4
        self.seen = [*getattr(self, "seen", []), *callback_kwargs]
        return callback_kwargs


def test_callbacks_of_diffusers_get_the_tensors_that_they_name(small_pipe):
    one, other = (KeepsSpeech(cutoff_step_ratio=0.5) for _ in range(2))
    for callback in (one, MultiPipelineCallbacks([one, other])):
        sample(small_pipe, 4, callback_on_step_end=callback)
    assert set(one.seen) == set(other.seen) == {"audio_embeds"} and len(one.seen) == 2 * len(other.seen) == 8
    with pytest.raises(ValueError, match="has 'prompt_embeds', known are"):
        sample(small_pipe, callback_on_step_end=SDCFGCutoffCallback(cutoff_step_ratio=0.5))


def test_interrupting_stops_the_call_of_a_callback_only_and_from_outside_all_of_them(small_pipe):
    steps, waiting, outside = {}, threading.Barrier(2), threading.Barrier(2)

    def run(name: str, interrupts_itself: bool) -> None:
        def follow(pipe, step, timestep, tensors):
            steps[name] = step
            if step == 0:
                waiting.wait()  # both are running
                if interrupts_itself:
                    pipe._interrupt = True
            if step == 3:
                outside.wait()  # the other thread interrupts
                outside.wait()
            return {}

        sample(small_pipe, 8, callback_on_step_end=follow)

    threads = [threading.Thread(target=run, args=call) for call in (("own", True), ("other", False))]
    for thread in threads:
        thread.start()
    threads[0].join()
    outside.wait()
    small_pipe._interrupt = True
    outside.wait()
    threads[1].join()
    assert steps == {"own": 0, "other": 3}


@pytest.mark.parametrize("name", ["timesteps", "sigmas"])
def test_a_schedule_of_ones_own_is_that_of_the_scheduler(small_pipe, name):
    small_pipe.scheduler = EulerDiscreteScheduler.from_config(small_pipe.scheduler.config)
    spaced = EulerDiscreteScheduler.from_config(small_pipe.scheduler.config)
    spaced.set_timesteps(4)
    given = {"timesteps": [int(one) for one in spaced.timesteps], "sigmas": spaced.sigmas[:-1].tolist()}[name]
    assert np.abs(sample(small_pipe, **{name: given}) - sample(small_pipe, 4)).mean() < 1e-3
    assert small_pipe.num_timesteps == 4
    other = {"timesteps": [999, 500, 10], "sigmas": [100.0, 10.0, 1.0]}[name]
    assert np.abs(sample(small_pipe, **{name: other}) - sample(small_pipe, 3)).mean() > 1e-2
    assert small_pipe.num_timesteps == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"timesteps": [10], "sigmas": [1.0]}, "`timesteps` and `sigmas` exclude each other"),
        ({"timesteps": [10]}, "`timesteps` cannot be chosen with a DDIMScheduler"),
        ({"sigmas": [10]}, "`sigmas` cannot be chosen with a DDIMScheduler"),
    ],
)
def test_a_schedule_that_the_scheduler_does_not_take_is_named(small_pipe, call, message):
    with pytest.raises(ValueError, match=message):
        sample(small_pipe, **call)


EVERY_SCHEDULER = [
    name
    for name in dir(diffusers)
    if name.endswith("Scheduler") and inspect.isclass(getattr(diffusers, name)) and not name.startswith("Flax")
]


@pytest.mark.parametrize("name", EVERY_SCHEDULER)
def test_each_scheduler_of_diffusers_paints_or_is_refused_in_one_line(small_pipe, name):
    try:
        small_pipe.scheduler = getattr(diffusers, name).from_config(small_pipe.scheduler.config)
    except (ImportError, TypeError, ValueError):
        pytest.skip("cannot be built from the model's configuration")
    try:
        output = sample(small_pipe, 2)
    except ValueError as error:
        assert str(error).startswith(f"`scheduler` is a {name}") and "\n" not in str(error)
    else:
        assert np.isfinite(output).all()


@pytest.mark.parametrize(
    "name", ["DDIMInverse", "DPMSolverMultistepInverse", "CogVideoXDDIM", "KDPM2AncestralDiscrete"]
)
def test_schedulers_that_give_noise_are_refused(small_pipe, name):
    small_pipe.scheduler = getattr(diffusers, f"{name}Scheduler").from_config(small_pipe.scheduler.config)
    with pytest.raises(ValueError, match=f"`scheduler` is a {name}Scheduler, which gives noise"):
        sample(small_pipe)


def test_a_scheduler_whose_step_takes_something_else_is_named(small_pipe):
    class StepByPair(DDIMScheduler):
        def step(self, model_output, pair):
            return pair

    small_pipe.scheduler = StepByPair.from_config(small_pipe.scheduler.config)
    with pytest.raises(ValueError, match="`scheduler` is a StepByPair, whose `step` takes other arguments"):
        sample(small_pipe)
