"""Several clips in one call of the pipeline."""

import numpy as np
import pytest
import torch

RANDOM = np.random.default_rng(0)
CLIPS = [RANDOM.integers(0, 256, (count, 16, 16, 3), dtype=np.uint8) for count in (3, 2)]
SPEECHES = [RANDOM.uniform(-1, 1, size).astype(np.float32) for size in (16000, 8000)]


def sample(pipe, frames, audio, output_type: str = "np", **call):
    pipe.set_progress_bar_config(disable=True)
    call = {"sampling_rate": 16000, "num_inference_steps": 2, "batch_size": 1} | call
    return pipe(
        frames, audio=audio, generator=torch.Generator().manual_seed(5), output_type=output_type, **call
    ).frames


def test_clips_get_what_they_get_alone(small_pipe):
    together = sample(small_pipe, CLIPS, SPEECHES)
    assert [len(clip) for clip in together] == [3, 2]
    for painted, clip, speech in zip(together, CLIPS, SPEECHES, strict=True):
        np.testing.assert_array_equal(painted, sample(small_pipe, clip, speech))


def test_each_clip_has_its_own_rate_and_reference(small_pipe):
    references = [CLIPS[1][0], CLIPS[0][:2]]
    rates = [16000, 8000]
    together = sample(small_pipe, CLIPS, SPEECHES, sampling_rate=rates, reference_frames=references)
    for painted, clip, speech, rate, reference in zip(together, CLIPS, SPEECHES, rates, references, strict=True):
        alone = sample(small_pipe, clip, speech, sampling_rate=rate, reference_frames=reference)
        np.testing.assert_array_equal(painted, alone)


def test_the_form_of_the_frames_is_that_of_one_clip(small_pipe):
    images = sample(small_pipe, CLIPS, SPEECHES, "pil", batch_size=None)
    assert [[image.size for image in clip] for clip in images] == [[(16, 16)] * 3, [(16, 16)] * 2]
    tensors = sample(small_pipe, CLIPS, SPEECHES, "pt", batch_size=None)
    assert [tuple(clip.shape) for clip in tensors] == [(3, 3, 16, 16), (2, 3, 16, 16)]


@pytest.mark.parametrize(
    ("frames", "call", "message"),
    [
        (CLIPS[0], {}, "`audio` has 2 recordings, but `frames` is a ndarray"),
        (CLIPS[:1], {}, "`audio` has 2 recordings, but `frames` is a list of 1"),
        (CLIPS, {"sampling_rate": [16000]}, "but `sampling_rate` is a list of 1"),
        (CLIPS, {"reference_frames": CLIPS[0]}, "but `reference_frames` is a ndarray"),
    ],
)
def test_lists_of_other_lengths_are_named(small_pipe, frames, call, message):
    with pytest.raises(ValueError, match=message):
        sample(small_pipe, frames, SPEECHES, **call)
