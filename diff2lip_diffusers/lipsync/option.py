"""An option of a lip-sync job, as its field in `SyncOptions` declares it."""

from dataclasses import dataclass, field
from typing import Any

from .option_values import OptionKind


@dataclass(frozen=True)
class Option:
    """What the command line, lists of pairs and Python know of a field of [`SyncOptions`].

    Attributes:
        kind: which values it takes.
        help: on the command line; empty where it has no place there.
        group: its heading in the help; None for none.
        flag: on the command line; the field's name by default.
        metavar: stands for its value in the help.
        rivals: a name for options of which the command line takes one at most.
        scope: where it can differ: from one `"pair"` to the next, between runs on a `"batch"`, or it belongs to a
            single `"video"`.
        changes_output: whether the output depends on it.
    """

    kind: OptionKind
    help: str = ""
    group: str | None = None
    flag: str | None = None
    metavar: str | None = None
    rivals: str | None = None
    scope: str = "pair"
    changes_output: bool = True


def option(default: Any, kind: OptionKind, help: str = "", group: str | None = None, **more) -> Any:
    """A field of a dataclass that is an option; `more` are further attributes of [`Option`]."""
    return field(default=default, metadata={"option": Option(kind, help, group, **more)})
