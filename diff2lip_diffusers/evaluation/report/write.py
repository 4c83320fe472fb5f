"""A folder with a page that shows the results of an evaluation."""

import re
from collections.abc import Sequence
from pathlib import Path

import PIL.Image

from ...errors import Diff2LipError
from ...media.reader import read_rgb
from ...output_paths import filling_folder
from ..clips import Clip
from ..results import Results, write_json
from .clips_csv import write_clips_csv
from .figures import Picture, draw_figures, has_matplotlib
from .page import PlayedClip, make_page
from .shown_clips import ShownClip, choose_clips
from .side_by_side import show_side_by_side

PAGE_NAME, JSON_NAME, CSV_NAME = "index.html", "report.json", "clips.csv"
POSTER_QUALITY = 88
# Names of files that an earlier report may have left.
OLD_FILES = {"figures": re.compile(r"\w+\.svg"), "clips": re.compile(r"\d{2,}\.(mp4|jpg)")}


def write_report(results: Results, clips: Sequence[Clip], folder: Path, num_clips_shown: int) -> Path:
    """Writes the report and returns its page, `index.html`.

    Beside it are `report.json`, `clips.csv`, and the folders `figures` and `clips`. The same results and files give
    the same bytes. Nothing in the folder needs the network. What an earlier report left is replaced.

    Args:
        results: what to show.
        clips: their files.
        folder: of the report.
        num_clips_shown: how many clips the page plays.

    Raises:
        MediaError: if it cannot be written.
    """
    with filling_folder(folder) as part:
        write_json(results, part / JSON_NAME)
        write_clips_csv(results, part / CSV_NAME)
        pictures = draw_figures(results, part) if has_matplotlib() else None
        played = _played(results, clips, part, num_clips_shown)
        (part / PAGE_NAME).write_text(make_page(results, clips, pictures, played), encoding="utf-8")
        _remove_old(folder, pictures or [], played)
    return folder / PAGE_NAME


def _played(results: Results, clips: Sequence[Clip], folder: Path, count: int) -> list[PlayedClip]:
    by_name = {clip.name: clip for clip in clips}
    (folder / "clips").mkdir()
    return [
        _play(results, shown, by_name[shown.name], folder, f"clips/{number:02d}.mp4")
        for number, shown in enumerate(choose_clips(results, list(by_name), count), 1)
    ]


def _play(results: Results, shown: ShownClip, clip: Clip, folder: Path, path: str) -> PlayedClip:
    systems = [system.name for system in results.systems]
    detector = results.settings.get("detector") or "mtcnn"
    try:
        show_side_by_side(clip, systems, detector, folder / path)
    except Diff2LipError as error:
        (folder / path).unlink(missing_ok=True)
        return PlayedClip(shown, None, reason=str(error))
    poster = path.replace(".mp4", ".jpg")
    first = next(read_rgb(folder / path))
    PIL.Image.fromarray(first).save(folder / poster, quality=POSTER_QUALITY)
    return PlayedClip(shown, path, (first.shape[1], first.shape[0]), poster)


def _remove_old(folder: Path, pictures: Sequence[Picture], played: Sequence[PlayedClip]) -> None:
    new = {picture.path for picture in pictures} | {path for entry in played for path in (entry.path, entry.poster)}
    for name, pattern in OLD_FILES.items():
        for file in sorted((folder / name).glob("*")):
            if pattern.fullmatch(file.name) and f"{name}/{file.name}" not in new:
                file.unlink()
