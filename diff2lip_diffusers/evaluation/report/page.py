"""The page of a report: one HTML file that needs no network and runs no script."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from ..clips import Clip
from ..measures.table import MEASURES
from ..results import Comparison, Results
from .figures import Picture
from .published import read_published
from .shown_clips import ShownClip, ranking_measure
from .side_by_side import MAX_SHOWN_S
from .tables import (
    MAX_PROBLEMS_SHOWN,
    clip_table,
    comparisons_table,
    left_out_table,
    meanings_table,
    problems_table,
    published_table,
    settings_table,
    systems_table,
)
from .text import escaped

STYLE = Path(__file__).parent / "style.css"
# The page may load its own pictures and videos, and nothing else.
POLICY = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class PlayedClip:
    """A clip of the page.

    Attributes:
        clip: which, and why it was chosen.
        path: of the video, below the report's folder; None if it could not be made.
        size: width and height of the video in pixels.
        reason: why there is no video.
    """

    clip: ShownClip
    path: str | None
    size: tuple[int, int] = (0, 0)
    reason: str = ""


def make_page(
    results: Results, clips: Sequence[Clip], pictures: Sequence[Picture] | None, played: Sequence[PlayedClip]
) -> str:
    """Returns the page.

    Args:
        results: what to show.
        clips: the files that were judged.
        pictures: of the measures; None if they could not be drawn.
        played: clips to play.
    """
    sections = [
        _introduction(results, clips),
        _systems(results),
        _tests(results.comparisons),
        _pictures(pictures),
        _clips(results, played),
        _published(results),
        _problems(results),
        _left_out(results),
        _about(results),
    ]
    body = "\n".join(section for section in sections if section)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Lip-sync evaluation: {_names(results)}</title>\n"
        f"<style>\n{STYLE.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _section(title: str, *parts: str) -> str:
    return "\n".join([f"<section>\n<h2>{title}</h2>", *parts, "</section>"])


def _paragraph(text: str, style: str = "quiet") -> str:
    return f'<p class="{style}">{text}</p>'


def _names(results: Results) -> str:
    return ", ".join(escaped(system.name) for system in results.systems)


def _introduction(results: Results, clips: Sequence[Clip]) -> str:
    systems = "; ".join(f"{escaped(system.name)}, {_count(system.clips)}" for system in results.systems)
    referenced = sum(clip.reference is not None for clip in clips)
    with_speech = sum(clip.audio is not None for clip in clips)
    reference = f"{referenced} of {_count(clips)} have a reference video" if referenced else "no reference videos"
    speech = f"{with_speech} have their speech in a file of its own, the others in the video"
    if not with_speech:
        speech = "the speech is that of each video"
    problems = ""
    if results.problems:
        problems = f' <a href="#problems">{len(results.problems)} remarks</a> tell what is missing or was compared only in part.'
    return (
        "<h1>Lip-sync evaluation</h1>\n"
        f"<p>Judged: {systems}. {reference.capitalize()}; {speech}.{problems}</p>\n"
        '<p class="quiet">All numbers: <a href="report.json">report.json</a>; a row a clip:'
        ' <a href="clips.csv">clips.csv</a>.</p>'
    )


def _count(clips) -> str:
    return f"{len(clips)} clip{'' if len(clips) == 1 else 's'}"


def _systems(results: Results) -> str:
    if not results.measures():
        return _section("Systems", _paragraph("Nothing could be measured."))
    text = (
        "Mean over clips, with its 95&nbsp;% bootstrap interval; measures over all clips at once have none. ↑ higher is"
        " better, ↓ lower is better, → nearer to that number is better. The best system of a row is bold, whether or not"
        " the difference is more than chance."
    )
    return _section("Systems", systems_table(results), _paragraph(text))


def _tests(comparisons: Sequence[Comparison]) -> str:
    if not comparisons:
        return ""
    text = (
        "First system less second, on the clips that both have. <i>p</i> is that of the two-sided paired test by flipped"
        " signs. It is not adjusted for the number of measures and systems: of 20 rows without any true difference, one"
        " is expected below 0.05."
    )
    pairs = [(pair, list(rows)) for pair, rows in groupby(comparisons, lambda row: (row.first, row.second))]
    tables = (
        f"<details{' open' if len(pairs) == 1 else ''}><summary>{escaped(first)} less {escaped(second)}</summary>"
        f"{comparisons_table(rows)}</details>"
        for (first, second), rows in pairs
    )
    return _section("Paired tests", _paragraph(text), *tables)


def _pictures(pictures: Sequence[Picture] | None) -> str:
    if pictures is None:
        cure = 'Figures need the package matplotlib: pip install "diff2lip-diffusers[evaluate]"'
        return _section("Figures", _paragraph(escaped(cure)))
    if not pictures:
        return ""
    text = (
        "Boxes reach from the first to the third quartile over clips, with the median in them; whiskers to the last clip"
        " within 1.5 times that length. Every point is a clip."
    )
    figures = "\n".join(
        f'<figure><img src="{picture.path}" alt="{escaped(picture.caption)}">'
        f"<figcaption>{escaped(picture.caption)}</figcaption></figure>"
        for picture in pictures
    )
    return _section("Figures", _paragraph(text), f'<div class="figures">\n{figures}\n</div>')


def _clips(results: Results, played: Sequence[PlayedClip]) -> str:
    if not played:
        return ""
    measure = ranking_measure(results)
    ranked = "in the order of their names"
    if measure is not None:
        ranked = f"ranked by {escaped(MEASURES[measure].title)}, the mean over systems"
    text = (
        f"Clips {ranked}. Below each video its painted part is magnified: the lower half of the face, the same part for"
        f" every system. At most {MAX_SHOWN_S} seconds are shown; a gray panel means that there is no video."
    )
    return _section("Clips", _paragraph(text), *(_clip(results, entry) for entry in played))


def _clip(results: Results, entry: PlayedClip) -> str:
    rank = entry.clip.rank
    title = f"<h3>{rank[0].upper()}{rank[1:]}: {escaped(entry.clip.name)}</h3>"
    if entry.path is None:
        video = _paragraph(f"No video: {escaped(entry.reason)}")
    else:
        width, height = entry.size
        video = (
            f'<video controls loop playsinline preload="metadata" width="{width}" height="{height}"'
            f' style="max-width:{width}px" src="{entry.path}"></video>'
        )
    numbers = f"<details><summary>Numbers of this clip</summary>{clip_table(results, entry.clip.name)}</details>"
    return f'<div class="clip">{title}\n{video}\n{numbers}</div>'


def _published(results: Results) -> str:
    found = published_table(results, read_published())
    if not found:
        text = "Papers print LSE-C, FID, FVD and LMD; none of these was measured here."
        return _section("Published numbers", _paragraph(text))
    text = (
        "Data and protocols differ from paper to paper and from this evaluation, also where the measure has the same"
        " name. So these numbers do not compare, unless the data and the protocol in the row are those used here."
    )
    return _section("Published numbers", _paragraph(text), found)


def _problems(results: Results) -> str:
    if not results.problems:
        return ""
    more = len(results.problems) - MAX_PROBLEMS_SHOWN
    rest = [_paragraph(f"{more} more are in report.json.")] if more > 0 else []
    section = _section("Missing, or compared in part", problems_table(results.problems), *rest)
    return section.replace("<section>", '<section id="problems">', 1)


def _left_out(results: Results) -> str:
    if not results.left_out:
        return ""
    return _section("Measures left out", left_out_table(results.left_out))


def _about(results: Results) -> str:
    meanings = f"<details><summary>What the measures say</summary>{meanings_table(results.measures())}</details>"
    settings = f"<details><summary>Settings</summary>{settings_table(results.settings)}</details>"
    return _section("About the measures", meanings if results.measures() else "", settings)
