"""The processes that accelerate launched together, on one machine or several; one process alone is a group, too."""

import os
from datetime import timedelta

import torch
from accelerate import PartialState
from accelerate.utils import broadcast, str_to_bool

from ..errors import StoppedError

# The main process may look at hundreds of thousands of files on a slow server before the others hear from it.
GROUP_TIMEOUT = timedelta(hours=6)


class ProcessGroup:
    """This process among those that were launched with it.

    Args:
        cpu: whether to leave GPUs alone.

    Attributes:
        index: of this process, from 0.
        size: how many there are.
        device: where accelerate puts this process.
    """

    def __init__(self, cpu: bool = False):
        # accelerate makes groups of processes without a GPU only where it is told that there is none.
        cpu = cpu or not torch.accelerator.is_available() or str_to_bool(os.environ.get("ACCELERATE_USE_CPU", "no"))
        self._state = PartialState(cpu=cpu, timeout=GROUP_TIMEOUT)
        self.index, self.size = self._state.process_index, self._state.num_processes
        self.device: torch.device = self._state.device

    @property
    def is_main(self) -> bool:
        """Whether this one speaks for all."""
        return self.index == 0

    def from_main(self, number: int) -> int:
        """What the main process passes, below 2^63; waits for it.

        Raises:
            StoppedError: if it is not there any more.
        """
        try:
            return int(broadcast(torch.tensor(number, device=self.device)).item())
        except RuntimeError as error:
            raise StoppedError("the main process is gone") from error

    def leave(self) -> None:
        """Ends the connection, without waiting for the others."""
        self._state.destroy_process_group()
