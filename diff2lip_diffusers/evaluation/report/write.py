"""A folder with a page that shows the results of an evaluation."""

from collections.abc import Sequence
from pathlib import Path

from ...output_paths import writing
from ..clips import Clip
from ..results import Results, write_json

JSON_NAME = "report.json"


def write_report(results: Results, clips: Sequence[Clip], folder: Path, num_clips_shown: int) -> Path:
    """Writes the report and returns its page.

    Args:
        results: what to show.
        clips: their files.
        folder: of the report.
        num_clips_shown: how many clips the page plays.

    Raises:
        MediaError: if it cannot be written.
    """
    with writing(folder):
        write_json(results, folder / JSON_NAME)
    return folder / JSON_NAME
