"""Group of processes that `accelerate launch` started, on one machine or several; one process alone is a group."""

import os
from dataclasses import dataclass
from datetime import timedelta

import torch
from accelerate import PartialState
from accelerate.utils import broadcast, str_to_bool

from ..errors import StoppedError

# The main process may check hundreds of thousands of files on a slow server before it sends the others anything.
GROUP_TIMEOUT = timedelta(hours=6)


@dataclass(frozen=True)
class Seat:
    """The place of a process in its group, for a process that replaces it: it cannot join the group again.

    Args:
        index: number of the process, from 0.
        size: number of processes.
        device: of the process.
        heard: the numbers that the main process has sent, in order.
    """

    index: int
    size: int
    device: str
    heard: tuple[int, ...]


class ProcessGroup:
    """This process and those that were launched with it.

    Args:
        cpu: whether to ignore GPUs.
        seat: the place of a dead process that this one replaces; None to join the group.

    Attributes:
        index: number of this process, from 0.
        size: number of processes.
        device: device that accelerate assigns to this process.
        replaces: whether this process replaces a dead one.
        first_run: number of the run that its processes agreed on first; 0 before.
    """

    def __init__(self, cpu: bool = False, seat: Seat | None = None):
        self._state, self._heard = None, []
        self.first_run = 0
        self.replaces = seat is not None
        if seat is not None:
            self.index, self.size = seat.index, seat.size
            self.device: torch.device = torch.device(seat.device)
            self._known = list(seat.heard)
            return
        # accelerate groups processes without a GPU only if it is told that there is none.
        cpu = cpu or not torch.accelerator.is_available()
        cpu = cpu or bool(str_to_bool(os.environ.get("ACCELERATE_USE_CPU", "no")))
        self._state = PartialState(cpu=cpu, timeout=GROUP_TIMEOUT)
        self.index, self.size = self._state.process_index, self._state.num_processes
        self.device = self._state.device  # pyright: ignore[reportAttributeAccessIssue]  # never None here

    @property
    def is_main(self) -> bool:
        """Whether this is the main process, number 0."""
        return self.index == 0

    @property
    def seat(self) -> Seat:
        """The place of this process."""
        return Seat(self.index, self.size, str(self.device), tuple(self._heard))

    def from_main(self, number: int) -> int:
        """Sends a number from the main process to all; the others wait for it.

        Args:
            number: what the main process sends, below 2^63; ignored in the others.

        Returns:
            The main process's number.

        Raises:
            StoppedError: if the main process has ended.
        """
        sent = self._known.pop(0) if self.replaces else self._broadcast(number)
        self._heard.append(sent)
        return sent

    def _broadcast(self, number: int) -> int:
        try:
            sent = broadcast(torch.tensor(number, device=self.device))
            return int(sent.item())  # pyright: ignore[reportAttributeAccessIssue]  # accelerate's annotation is wider
        except RuntimeError as error:
            raise StoppedError("the main process is gone") from error

    def leave(self) -> None:
        """Closes the connection without waiting for the others."""
        if self._state is not None:
            self._state.destroy_process_group()
