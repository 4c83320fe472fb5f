"""The state of a pipeline's calls: what each keeps to itself, and what callbacks and other threads see of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import get_ident
from typing import Any

import torch


@dataclass(eq=False)
class PipelineCall:
    """What one call keeps to itself, so that calls in several threads do not disturb each other.

    Args:
        scheduler: a copy of its own.
        schedule: arguments of the scheduler's `set_timesteps`: steps, timesteps or sigmas.
        guidance_scale: weight of the speech; not above 1 is off.
        guidance_rescale: how far the contrast that guidance adds is taken back.
        null_embeds: (1, E), stands for no speech; None without guidance.
        interrupt: whether to stop at the next step.
    """

    scheduler: Any  # the annotations of diffusers' schedulers lack all that is used here
    schedule: dict
    guidance_scale: float
    guidance_rescale: float
    null_embeds: torch.Tensor | None = None
    interrupt: bool = False

    def start(self, device: torch.device) -> torch.Tensor:
        """Returns the timesteps. Multistep schedulers keep state between steps; this resets it.

        Raises:
            ValueError: if the scheduler does not take this schedule.
        """
        try:
            self.scheduler.set_timesteps(**self.schedule, device=device)
        except (IndexError, TypeError, ValueError) as error:
            name = type(self.scheduler).__name__
            given = ", ".join(f"{name} {value}" for name, value in self.schedule.items())
            reason = " ".join(str(error).split())
            raise ValueError(f"`scheduler` is a {name}, which cannot take {given}: {reason}") from error
        return self.scheduler.timesteps


class CallStateMixin:
    """State of a pipeline's calls, under diffusers' names: of this thread's call, else of the latest one."""

    config: Any  # that of the pipeline
    _running: dict[int, PipelineCall]  # by thread
    _latest: PipelineCall | None

    @property
    def guidance_scale(self) -> float:
        """The guidance scale of the call."""
        call = self._call
        return self.config["default_guidance_scale"] if call is None else call.guidance_scale

    @property
    def guidance_rescale(self) -> float:
        """The guidance rescaling of the call."""
        return 0.0 if self._call is None else self._call.guidance_rescale

    @property
    def do_classifier_free_guidance(self) -> bool:
        """Whether the call is guided."""
        return self.guidance_scale > 1

    @property
    def num_timesteps(self) -> int:
        """Steps of the call, as the scheduler counts them; 0 before any call."""
        return 0 if self._call is None else len(self._call.scheduler.timesteps)

    @property
    def interrupt(self) -> bool:
        """Whether the call stops at its next step."""
        return self._call is not None and self._call.interrupt

    @property
    def _interrupt(self) -> bool:
        return self.interrupt

    @_interrupt.setter
    def _interrupt(self, value: bool) -> None:
        """Set in a callback, it is for this call; set in another thread, for all that are running."""
        own = self._running.get(get_ident())
        for call in list(self._running.values()) if own is None else [own]:
            call.interrupt = value

    @property
    def _call(self) -> PipelineCall | None:
        return self._running.get(get_ident(), self._latest)

    @contextmanager
    def _as_running(self, call: PipelineCall) -> Iterator[None]:
        thread = get_ident()
        outer = self._running.get(thread)
        self._running[thread] = self._latest = call
        try:
            yield
        finally:
            if outer is None:
                del self._running[thread]
            else:
                self._running[thread] = outer
