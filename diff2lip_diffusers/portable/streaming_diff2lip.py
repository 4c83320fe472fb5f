"""The pipeline as a stream: painted frames while their speech is still arriving."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import chain, count, repeat
from typing import Any

import numpy as np
import PIL.Image
import torch

from .noise_diff2lip import drawn_generator

Crop = PIL.Image.Image | np.ndarray | torch.Tensor


class StreamingMixin:
    """Gives a pipeline the method `stream`."""

    def stream(
        self,
        frames: Iterable[Crop],
        audio_chunks: Iterable[np.ndarray | torch.Tensor],
        sampling_rate: int | None = None,
        fps: float | Fraction | None = None,
        reference_frames: Crop | Iterable[Crop] | None = None,
        generator: torch.Generator | None = None,
        latents: torch.Tensor | None = None,
        batch_size: int = 1,
        end_with_audio: bool = False,
        output_type: str = "pil",
        **arguments,
    ) -> Iterator[Crop]:
        """Yields painted frames as soon as the audio for them is there: 0.17 s after the frame begins, or at the end.

        The frames are bit for bit those of a call with the whole audio, the same seed and the same `batch_size`.
        Memory does not grow with their number.

        Args:
            frames: crops, one a frame, each of a form that a call takes: taken when it is needed.
            audio_chunks: speech from the first frame on, in chunks of any length: (T,), (T, C) or (C, T) each. Frames
                after its end are painted to silence.
            sampling_rate: of the chunks in Hz; that of the feature extractor by default.
            fps: frames per second; the value of the feature extractor by default.
            reference_frames: one crop for all frames, or one for each, that show the person; the frames themselves by
                default.
            generator: makes the result repeatable; all frames share its noise.
            latents: initial noise (1, 3, S, S), shared by all frames. Drawn by default.
            batch_size: frames painted at a time. More than one wait for each other.
            end_with_audio: whether to stop with the audio, for endless `frames`.
            output_type: `"pil"`, `"np"` or `"pt"`: images, arrays (S, S, 3) or tensors (3, S, S), these in [0, 1].
            **arguments: other arguments of a call.

        Raises:
            ValueError: if an argument is missing or has a wrong shape or range; here, and when a frame is taken.

        Examples:

        ```py
        >>> for image in pipe.stream(itertools.cycle(crops), microphone(), 16000, end_with_audio=True):
        ...     show(image)
        ```
        """
        pipe: Any = self
        if isinstance(generator, list):
            raise ValueError("`generator` is a list; a stream takes one generator, whose noise all frames share")
        if not (isinstance(batch_size, int) and batch_size >= 1):
            raise ValueError(f"`batch_size` is {batch_size!r}, expected a whole number above 0")
        speech = pipe.feature_extractor.stream(sampling_rate, fps)
        noise = pipe.prepare_latents(1, generator, latents)
        generator = drawn_generator() if generator is None else generator
        ready = _ready_frames(iter(frames), _references(reference_frames), audio_chunks, speech, end_with_audio)
        settings = {**arguments, "latents": noise, "output_type": output_type}
        return _painted(pipe, ready, generator, batch_size, settings)


def _painted(
    pipe: Any, ready: Iterator[tuple], generator: torch.Generator, batch_size: int, settings: dict
) -> Iterator[Crop]:
    state = generator.get_state()
    for batch in _batches(ready, batch_size):
        generator.set_state(state)  # all batches share the noise, also that of the steps
        frames, references, windows = zip(*batch, strict=True)
        own_references = {} if references[0] is None else {"reference_frames": list(references)}
        with _silent(pipe):
            output = pipe(
                list(frames), mel_windows=torch.stack(windows), generator=generator, **own_references, **settings
            )
        yield from output.frames


def _ready_frames(
    frames: Iterator[Crop],
    references: Iterator[Crop | None],
    audio_chunks: Iterable[Any],
    speech: Any,
    end_with_audio: bool,
) -> Iterator[tuple[Crop, Crop | None, torch.Tensor]]:
    """Yields each frame, its reference and its mel window, as soon as the window's audio is there."""
    numbers = count()
    number = next(numbers)
    for chunk in chain(audio_chunks, [None]):
        speech.finish() if chunk is None else speech.push(chunk)
        while speech.is_ready(number) and not (end_with_audio and number >= speech.num_frames):
            try:
                frame = next(frames)
                reference = next(references)
            except StopIteration:
                return
            yield frame, reference, speech.window(number)
            number = next(numbers)


def _references(given: Crop | Iterable[Crop] | None) -> Iterator[Crop | None]:
    if given is None or isinstance(given, PIL.Image.Image) or getattr(given, "ndim", 0) == 3:
        return repeat(given)  # pyright: ignore[reportReturnType]
    return iter(given)  # pyright: ignore[reportReturnType, reportArgumentType]


def _batches(items: Iterator[tuple], size: int) -> Iterator[list[tuple]]:
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


@contextmanager
def _silent(pipe: Any) -> Iterator[None]:
    """Turns off the pipeline's progress bar, of which there would be one a batch."""
    config = getattr(pipe, "_progress_bar_config", {})
    pipe.set_progress_bar_config(**{**config, "disable": True})
    try:
        yield
    finally:
        pipe.set_progress_bar_config(**config)
