"""What a personal model is made from, in a file: a resumed or repeated command must mean the same."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import CheckpointError, Diff2LipError
from ..output_paths import writing


@dataclass(frozen=True)
class InputsRecord:
    """Videos, options and consent.

    Attributes:
        videos: path of each video with sizes and times of its files.
        options: those that change the model.
        max_train_steps: the number of steps that was planned at the beginning; 0 before it is known.
        consent: when the consent was confirmed, as a date.
    """

    videos: dict[str, list]
    options: dict
    max_train_steps: int
    consent: str

    def write(self, path: Path) -> None:
        """Writes the record, whole or not at all.

        Raises:
            MediaError: if it cannot be written.
        """
        part = path.with_name(f".{path.name}.part")
        with writing(path):
            part.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
            part.replace(path)

    def check_same(self, other: "InputsRecord", folder: Path) -> None:
        """Checks that another record has the same videos and options.

        Raises:
            Diff2LipError: if not; the line names the first difference.
        """
        cure = "name another folder, or delete this one"
        if self.videos != other.videos:
            raise Diff2LipError(f"{folder}: was begun with other videos, or they have changed; {cure}")
        for name, value in other.options.items():
            if self.options.get(name) != value:
                was = self.options.get(name)
                raise Diff2LipError(f"{folder}: was begun with `{name}` {was}, now it is {value}; {cure}")


def read_inputs(path: Path) -> InputsRecord | None:
    """Returns the record in a file; None if there is none.

    Raises:
        CheckpointError: if it is damaged.
    """
    if not path.exists():
        return None
    try:
        return InputsRecord(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path}: is damaged; delete its folder to start over") from error


def today() -> str:
    """The date, as 2026-01-31."""
    return time.strftime("%Y-%m-%d")
