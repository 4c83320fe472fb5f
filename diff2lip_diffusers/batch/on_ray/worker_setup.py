"""What an actor needs to become a worker of a batch: the model, the folder and the options."""

import os
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch

from ...errors import MediaError
from ...hub import compile_pipeline, warm_up
from ...lipsync.options import checked_options
from ...lipsync.remote_job import files_of
from ...lipsync.sampling import default_batch_size
from ...portable.pipeline_diff2lip import Diff2LipPipeline
from ...stores.remote_files import RemoteFiles
from ...stores.urls import Location
from ..folder import BatchFolder
from ..in_store.open_batch import open_batch
from .connection import Room


@dataclass(frozen=True)
class WorkerSetup:
    """The same for all workers of a run.

    Args:
        pipe: Ray's reference to the pipeline, on the CPU.
        place: the folder or URL of the outputs.
        options: of all pairs.
        room: what each worker has.
        num_threads: of PyTorch, on a CPU; other numbers round differently.
        compile: how to compile the model; None for not at all.
        run: number of the run, whose plan is in the folder.
        ledger: the [`Ledger`] of the run.
        folder: that relative names belong to: where the run was started.
    """

    pipe: Any
    place: Location
    options: dict[str, Any]
    room: Room
    num_threads: int
    compile: str | None
    run: int
    ledger: Any
    folder: str

    def begin(self) -> None:
        """Called first: this process works where the run was started, with as many threads."""
        with suppress(OSError):  # not every node has that folder; those that need it say so
            os.chdir(self.folder)
        if self.room.device == "cpu":
            torch.set_num_threads(self.num_threads)

    def load_pipe(self, ray: Any) -> Diff2LipPipeline:
        """The pipeline on the device of this worker."""
        pipe = ray.get(self.pipe).to(self.room.device)
        if self.compile is not None:
            chosen = checked_options(self.options, "sync_batch")
            compile_pipeline(pipe, self.compile)
            warm_up(pipe, chosen.batch_size or default_batch_size(pipe), chosen.guidance_scale)
        return pipe

    def open_folder(self) -> tuple[BatchFolder, RemoteFiles]:
        """The files of the batch, and what fetches remote ones."""
        files = files_of(checked_options(self.options, "sync_batch"))
        return open_batch(self.place, files), files

    def check_shared(self, folder: BatchFolder) -> None:
        """Checks that this node sees the folder of the run.

        Raises:
            MediaError: it does not.
        """
        if not folder.has_plan(self.run):
            reason = f"is not the same folder on {socket.gethostname()}; name one that all nodes share, or a URL"
            raise MediaError(str(folder.output_dir), reason)


def new_worker_name() -> str:
    """A unique name for a process of an actor."""
    host = "".join(letter if letter.isalnum() or letter in ".-" else "-" for letter in socket.gethostname())[:64]
    return f"{host.strip('.-') or 'host'}-ray-{secrets.token_hex(6)}"
