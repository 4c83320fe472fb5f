"""The last record of each output, outside of memory: in a temporary file that goes with its process."""

import json
import sqlite3
from collections.abc import Iterable, Iterator

# Rows that are read at a time.
PAGE = 500


class KeptRecords:
    """Records by output. Memory does not grow with their number.

    Not thread-safe: whoever uses it holds a lock.
    """

    def __init__(self):
        # The empty name stands for a database that SQLite keeps in memory up to a few MB, and then in a file without
        # a name.
        self._rows = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._rows.execute("PRAGMA journal_mode = OFF")
        self._rows.execute("PRAGMA synchronous = OFF")
        self._rows.execute("CREATE TABLE records (output TEXT PRIMARY KEY, line BLOB) WITHOUT ROWID")

    def put(self, record: dict) -> None:
        """Keeps a record in the place of the last one of its output."""
        row = _text(record["output"]), json.dumps(record).encode()
        self._rows.execute("INSERT OR REPLACE INTO records VALUES (?, ?)", row)

    def get(self, output: str) -> dict | None:
        """The record of an output; None if there is none."""
        found = self._rows.execute("SELECT line FROM records WHERE output = ?", (_text(output),)).fetchone()
        return None if found is None else json.loads(found[0])

    def of(self, outputs: Iterable[str]) -> Iterator[dict]:
        """The records of some outputs, in their order."""
        found = (self.get(output) for output in outputs)
        return (record for record in found if record is not None)

    def page(self, after: str | None = None) -> list[dict]:
        """Records in the order of their outputs: the first ones, or those after an output; none at the end."""
        query = f"SELECT line FROM records WHERE output > ? ORDER BY output LIMIT {PAGE}"
        rows = self._rows.execute(query, ("" if after is None else _text(after),))
        return [json.loads(line) for (line,) in rows]


def _text(output: str) -> str:
    """A name as SQLite takes it: without halves of surrogate pairs."""
    return output.encode("utf-8", "backslashreplace").decode("utf-8")
