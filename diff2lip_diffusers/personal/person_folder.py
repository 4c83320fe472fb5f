"""The folder of a personal model: a state while it is made, and a pipeline folder at the end."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from ..batch.folder import STATE_NAME
from ..batch.heartbeat import Heartbeat, names_in
from ..errors import CheckpointError, MediaError
from ..output_paths import filling_folder, writing
from .inputs_record import InputsRecord, read_inputs

WORK_NAME, INPUTS_NAME, RUN_NAME = "work", "inputs.json", "run"
REPORT_NAME, PREVIEW_NAME, RESULTS_NAME = "report.html", "preview.png", "personal.json"


class PersonFolder:
    """A folder that is new, begun by an interrupted command, or finished.

    Args:
        path: the folder.

    Attributes:
        work: the state while the model is made.
        run: the folder of the training run.
        preview: the image that is renewed every minute.
        report: the page at the end.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.work = self.path / WORK_NAME
        self.run = self.work / RUN_NAME
        self.preview, self.report = self.path / PREVIEW_NAME, self.path / REPORT_NAME

    def begin(self, inputs: InputsRecord) -> InputsRecord:
        """Returns the inputs with what an earlier command has stored, after a check that they are the same.

        Raises:
            MediaError: if the folder holds something else, or cannot be written.
            Diff2LipError: if it was begun with other videos or options.
        """
        if self.path.exists() and not self.path.is_dir():
            raise MediaError(self.path, "is a file; name a folder for the model")
        stored = self.stored()
        if stored is not None:
            stored.check_same(inputs, self.path)
            return stored
        if not self.work.exists() and names_in(self.path):
            raise MediaError(self.path, "is neither empty nor a personal model; name a new folder")
        return inputs

    def stored(self) -> InputsRecord | None:
        """What an earlier command has stored, also that of a finished model; None if there was none."""
        finished = self._finished()
        return read_inputs(self.work / INPUTS_NAME) if finished is None else InputsRecord(**finished["inputs"])

    def results(self) -> dict | None:
        """The measurements of a finished model; None before that."""
        finished = self._finished()
        return None if finished is None else finished["results"]

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Makes the folder, and checks that no other process works on it.

        Raises:
            MediaError: if one does, or the folder cannot be written.
        """
        with writing(self.path):
            self.work.mkdir(parents=True, exist_ok=True)
        state = self.work / STATE_NAME
        with Heartbeat(state) as process:
            process.forget_dead()
            others = {name for name in names_in(state / "processes") if name.endswith(".json")}
            if others - {f"{process.id}.json"}:
                raise MediaError(self.path, "another process is working on it; wait until it ends")
            yield

    def store(self, inputs: InputsRecord) -> None:
        """Stores the inputs for a command that resumes this one."""
        inputs.write(self.work / INPUTS_NAME)

    @contextmanager
    def publishing(self, inputs: InputsRecord, results: dict) -> Iterator[Path]:
        """Yields a hidden folder; its files become the model, and the numbers its mark of completion.

        Raises:
            MediaError: if they cannot be written; the state stays.
        """
        with filling_folder(self.path) as hidden:
            yield hidden
        part = self.work / RESULTS_NAME
        with writing(self.path):
            text = json.dumps({"inputs": asdict(inputs), "results": results}, indent=1)
            part.write_text(text + "\n", encoding="utf-8")
            part.replace(self.path / RESULTS_NAME)

    def forget_work(self) -> None:
        """Removes the state, with the person's face crops."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.preview.unlink(missing_ok=True)

    def forget(self) -> None:
        """Removes the state, and the folder if nothing else is in it, so that other videos or options can be tried."""
        self.forget_work()
        if not names_in(self.path):
            self.path.rmdir()

    def _finished(self) -> dict | None:
        path = self.path / RESULTS_NAME
        if not path.exists():
            return None
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{path}: is damaged; name another folder, or delete this one") from error
