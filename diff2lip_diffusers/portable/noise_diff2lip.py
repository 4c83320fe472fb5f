"""The noise of a pipeline's call: the same for all frames, however they are batched."""

import torch
from diffusers.utils.torch_utils import randn_tensor

Generators = torch.Generator | list[torch.Generator] | None


def check_generators(generator: Generators, num_frames: int) -> int:
    """Returns how many noise images the generators draw: one, or one for each frame.

    Raises:
        ValueError: if there are no generators, or another number of them than frames.
    """
    generators = generator if isinstance(generator, list) else [generator]
    if not generators or not all(isinstance(one, torch.Generator) for one in generators if generator is not None):
        raise ValueError(f"`generator` is {generator!r}, expected a torch.Generator or a list of them")
    if len(generators) not in (1, num_frames):
        raise ValueError(f"`generator` is a list of {len(generators)}, expected 1 or {num_frames}")
    return len(generators)


def drawn_noise(shape: tuple[int, ...], generator: Generators, device: torch.device) -> torch.Tensor:
    """Returns noise of unit variance, float32: of `shape`, or one image (1, ...) that all share.

    Generators in equal states draw the same image, so it is drawn once.

    Args:
        shape: of the noise, first how many images.
        generator: draws them; each of a list draws one.
        device: on which the noise is drawn if no generator says so.
    """
    if not isinstance(generator, list) or len(generator) == 1 or not _are_in_one_state(generator):
        return randn_tensor(shape, generator, device, torch.float32)
    first, *others = generator
    noise = randn_tensor((1, *shape[1:]), first, first.device, torch.float32)
    for other in others:
        other.set_state(first.get_state())
    return noise


def _are_in_one_state(generators: list[torch.Generator]) -> bool:
    first, *others = generators
    state = first.get_state()
    return all(one.device == first.device and torch.equal(one.get_state(), state) for one in others)


def drawn_generator() -> torch.Generator:
    """Returns a generator seeded from the global one of torch, so that `torch.manual_seed` has an effect."""
    return torch.Generator().manual_seed(int(torch.randint(2**62, ())))


def step_generators(
    generator: torch.Generator | list[torch.Generator], batch: slice, size: int
) -> list[torch.Generator]:
    """Returns a generator for each frame of the batch, all in the same state: frames and batches share their noise."""
    if isinstance(generator, list) and len(generator) > 1:
        return generator[batch]
    generator = generator[0] if isinstance(generator, list) else generator
    clones = [torch.Generator(generator.device) for _ in range(size)]
    for clone in clones:
        clone.set_state(generator.get_state())
    return clones
