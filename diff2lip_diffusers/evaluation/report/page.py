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
from .words import ABOUT_CLIPS, ABOUT_FIGURES, ABOUT_PUBLISHED, ABOUT_SYSTEMS, ABOUT_TESTS

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
        poster: picture that is shown before it plays, below the report's folder.
        reason: why there is no video.
    """

    clip: ShownClip
    path: str | None
    size: tuple[int, int] = (0, 0)
    poster: str | None = None
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
        f"<style>\n{STYLE.read_text(encoding='utf-8')}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
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
        link = f'<a href="#problems">{len(results.problems)} remark{"" if len(results.problems) == 1 else "s"}</a>'
        problems = f" See {link} on what is missing or was compared in part."
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
    return _section("Systems", systems_table(results), _paragraph(ABOUT_SYSTEMS))


def _tests(comparisons: Sequence[Comparison]) -> str:
    if not comparisons:
        return ""
    pairs = [(pair, list(rows)) for pair, rows in groupby(comparisons, lambda row: (row.first, row.second))]
    tables = (
        f"<details{'' if index else ' open'}><summary>{escaped(first)} less {escaped(second)}</summary>"
        f"{comparisons_table(rows)}</details>"
        for index, ((first, second), rows) in enumerate(pairs)
    )
    return _section("Paired tests", _paragraph(ABOUT_TESTS), *tables)


def _pictures(pictures: Sequence[Picture] | None) -> str:
    if pictures is None:
        cure = 'Figures need the package matplotlib: pip install "diff2lip-diffusers[evaluate]"'
        return _section("Figures", _paragraph(escaped(cure)))
    if not pictures:
        return ""
    figures = "\n".join(
        f'<figure><img src="{picture.path}" alt="{escaped(picture.caption)}">'
        f"<figcaption>{escaped(picture.caption)}</figcaption></figure>"
        for picture in pictures
    )
    return _section("Figures", _paragraph(ABOUT_FIGURES), f'<div class="figures">\n{figures}\n</div>')


def _clips(results: Results, played: Sequence[PlayedClip]) -> str:
    if not played:
        return ""
    measure = ranking_measure(results)
    ranked = "in the order of their names"
    if measure is not None:
        ranked = f"ranked by {escaped(MEASURES[measure].title)}, the mean over systems"
    return _section(
        "Clips", _paragraph(f"Clips {ranked}. {ABOUT_CLIPS}"), *(_clip(results, entry) for entry in played)
    )


def _clip(results: Results, entry: PlayedClip) -> str:
    rank = entry.clip.rank
    title = f"<h3>{rank[0].upper()}{rank[1:]}: {escaped(entry.clip.name)}</h3>"
    if entry.path is None:
        video = _paragraph(f"No video: {escaped(entry.reason)}")
    else:
        width, height = entry.size
        video = (
            f'<div class="film"><video controls loop playsinline preload="metadata" width="{width}" height="{height}"'
            f' style="max-width:{width}px" poster="{entry.poster}" src="{entry.path}"></video></div>'
        )
    numbers = f"<details><summary>Numbers of this clip</summary>{clip_table(results, entry.clip.name)}</details>"
    return f'<div class="clip">{title}\n{video}\n{numbers}</div>'


def _published(results: Results) -> str:
    found = published_table(results, read_published())
    if not found:
        text = "Papers print LSE-C, FID, FVD and LMD; none of these was measured here."
        return _section("Published numbers", _paragraph(text))
    return _section("Published numbers", _paragraph(ABOUT_PUBLISHED), found)


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
