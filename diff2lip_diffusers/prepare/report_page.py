"""The HTML report of a training set: its clips and the dropped segments, with images and reasons."""

from collections import defaultdict
from collections.abc import Iterable
from html import escape
from urllib.parse import quote

from .set_layout import CLIP_FPS

STYLE = """
:root { --ink: #23303b; --soft: #64727e; --line: #dfe4e8; --good: #1f7a55; --bad: #a8491c; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.5rem 4rem; max-width: 76rem; color: var(--ink); background: #f6f7f9;
  font: 15px/1.45 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .8rem; }
h2 .count { color: var(--soft); font-weight: normal; }
p { margin: 0; color: var(--soft); }
.numbers { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.4rem 0 0; padding: 0; list-style: none; }
.numbers li { background: #fff; border: 1px solid var(--line); border-radius: .6rem; padding: .7rem 1.1rem;
  min-width: 7rem; }
.numbers b { display: block; font-size: 1.5rem; line-height: 1.2; }
.numbers span { color: var(--soft); }
.kept b { color: var(--good); }
.dropped b { color: var(--bad); }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(17.5rem, 1fr)); gap: 1rem;
  align-items: start; }
.card { margin: 0; background: #fff; border: 1px solid var(--line); border-radius: .6rem; overflow: hidden; }
.card img { display: block; width: 100%; height: auto; background: #e8ebee; }
.card img.frame { height: 10rem; object-fit: contain; }
.card .none { padding: 2.2rem 1rem; text-align: center; background: #eef0f2; color: var(--soft); }
.card figcaption { padding: .6rem .8rem .7rem; overflow-wrap: anywhere; }
.card .name { font-weight: 600; }
.card .facts { color: var(--soft); font-size: .88rem; }
a { color: #1d5f99; text-decoration: none; }
a:hover { text-decoration: underline; }
details { margin-top: 2.4rem; color: var(--soft); }
summary { cursor: pointer; }
table { border-collapse: collapse; margin-top: .6rem; }
td { padding: .1rem 1.2rem .1rem 0; }
"""


def report_page(records: list[dict], options: dict, clips_folder: str, images_folder: str) -> str:
    """The page as HTML, with links relative to the set's folder.

    Args:
        records: of the videos.
        options: of the set, by name.
        clips_folder: folder of the clips, in the set's folder.
        images_folder: folder of the images.
    """
    clips = [clip for record in records for clip in record["clips"]]
    dropped = defaultdict(list)
    for record in records:
        for segment in record["dropped"]:
            dropped[segment["reason"]].append((record, segment))
    by_count = sorted(dropped.items(), key=lambda item: -len(item[1]))
    kept_cards = (_kept_card(clip, clips_folder, images_folder) for clip in clips)
    sections = [_section("Kept", len(clips), kept_cards)]
    for reason, found in by_count:
        cards = (_dropped_card(record, segment, images_folder) for record, segment in found)
        sections.append(_section(f"Dropped: {reason}", len(found), cards))
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>Training set: {len(clips)} clips</title>\n<style>{STYLE}</style>\n</head>\n<body>",
            "<h1>Training set</h1>",
            "<p>The first, middle and last face of each clip, and the reason why the others were dropped.</p>",
            _numbers(records, clips, by_count),
            *sections,
            _options_table(options),
            "</body>\n</html>\n",
        ]
    )


def _numbers(records: list[dict], clips: list[dict], dropped: list[tuple[str, list]]) -> str:
    minutes = sum(clip["frames"] for clip in clips) / CLIP_FPS / 60
    shown = [("", len(records), "videos"), ("", len({clip["identity"] for clip in clips}), "people kept")]
    shown += [("kept", len(clips), "clips kept"), ("kept", f"{minutes:.1f}", "minutes kept")]
    shown += [("dropped", len(found), f"dropped: {reason}") for reason, found in dropped]
    items = (f'<li class="{kind}"><b>{count}</b><span>{escape(what)}</span></li>' for kind, count, what in shown)
    return f'<ul class="numbers">{"".join(items)}</ul>'


def _section(title: str, count: int, cards: Iterable[str]) -> str:
    if not count:
        return f"<h2>{escape(title)}: nothing</h2>"
    heading = f'<h2>{escape(title)} <span class="count">({count})</span></h2>'
    return f'{heading}\n<div class="cards">\n' + "\n".join(cards) + "\n</div>"


def _kept_card(clip: dict, clips_folder: str, images_folder: str) -> str:
    facts = [
        f"{clip['frames'] / CLIP_FPS:.2f} s from {_clock(clip['start_s'])}",
        f"face {clip['face_px']} px",
        f"sharpness {clip['sharpness']:.3f}",
    ]
    if clip["confidence"] is not None:
        facts.append(f"LSE-C {clip['confidence']:.2f}, speech moved by {clip['offset_frames']} frames")
    files = ((suffix, quote(f"{clips_folder}/{clip['name']}.{suffix}")) for suffix in ("mp4", "wav"))
    links = " · ".join(f'<a href="{path}">{suffix}</a>' for suffix, path in files)
    return _card(_image(f"{images_folder}/{clip['picture']}", "strip"), clip["name"], facts, links)


def _dropped_card(record: dict, segment: dict, images_folder: str) -> str:
    facts = [f"{segment['frames'] / CLIP_FPS:.2f} s from {_clock(segment['start_s'])}"] if segment["frames"] else []
    name = segment["picture"]
    kind = "strip" if segment["has_face"] else "frame"
    image = _image(f"{images_folder}/{name}", kind) if name else '<div class="none">no image</div>'
    return _card(image, record["name"], facts, escape(segment["detail"]))


def _card(image: str, name: str, facts: list[str], last_line: str) -> str:
    lines = f'<div class="name">{escape(name)}</div><div class="facts">{escape(" · ".join(facts))}</div>'
    return f'<figure class="card">{image}<figcaption>{lines}<div class="facts">{last_line}</div></figcaption></figure>'


def _image(path: str, kind: str) -> str:
    return f'<img class="{kind}" loading="lazy" alt="" src="{quote(path)}">'


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}:{rest:05.2f}"


def _options_table(options: dict) -> str:
    rows = (f"<tr><td>{escape(name)}</td><td>{escape(str(value))}</td></tr>" for name, value in options.items())
    return f"<details><summary>Made with these options</summary><table>{''.join(rows)}</table></details>"
