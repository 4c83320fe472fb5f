"""Tables of a report, as HTML."""

from collections.abc import Iterable, Sequence

from ..clips import Unmatched
from ..measures.table import GROUPS, MEASURES
from ..results import Comparison, Results, SystemResults
from .goodness import ARROWS, goodness
from .published import Published
from .text import escaped, number

MAX_PROBLEMS_SHOWN = 300
SMALLEST_P = 0.001


def table(head: Iterable[str], rows: Iterable[str]) -> str:
    """Returns a table that scrolls inside its box; `head` are cells, `rows` are rows."""
    body = "\n".join(rows)
    return (
        f'<div class="scroll"><table><thead><tr>{"".join(head)}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'
    )


def systems_table(results: Results) -> str:
    """Returns the table of measures and systems; the best of each row is bold."""
    head = [
        "<th>Measure</th>",
        *(f'<th class="number system">{escaped(system.name)}</th>' for system in results.systems),
    ]
    return table(head, (_measure_row(results.systems, name) for name in results.measures()))


def _measure_row(systems: Sequence[SystemResults], name: str) -> str:
    best = best_value(systems, name)
    cells = (_cell(system, name, system.value(name) == best is not None) for system in systems)
    return f"<tr><th>{measure_title(name)}</th>{''.join(cells)}</tr>"


def measure_title(name: str) -> str:
    """Returns a measure's title with the better direction and its unit."""
    measure = MEASURES[name]
    unit = f' <span class="unit">{escaped(measure.unit)}</span>' if measure.unit else ""
    return f"{escaped(measure.title)}&nbsp;{ARROWS[measure.better].replace(' ', '&nbsp;')}{unit}"


def best_value(systems: Sequence[SystemResults], name: str) -> float | None:
    """Returns the best value of a measure where several systems have one."""
    values = [value for system in systems if (value := system.value(name)) is not None]
    return max(values, key=lambda value: goodness(MEASURES[name], value)) if len(values) > 1 else None


def _cell(system: SystemResults, name: str, is_best: bool) -> str:
    value = system.value(name)
    if value is None:
        return '<td class="number">–</td>'
    interval = ""
    if name not in system.overall:
        interval = f'<br><span class="interval">{_interval(system.summaries[name])}</span>'
    return f'<td class="number{" best" if is_best else ""}">{number(value)}{interval}</td>'


def _interval(summary) -> str:
    return f"[{number(summary.low)}, {number(summary.high)}]"


def comparisons_table(comparisons: Sequence[Comparison]) -> str:
    """Returns the paired tests between two systems."""
    head = [
        "<th>Measure</th>",
        '<th class="number">Difference</th>',
        '<th class="number">95&nbsp;% interval</th>',
        '<th class="number"><i>p</i></th>',
        '<th class="number">Clips</th>',
    ]
    return table(head, map(_comparison_row, comparisons))


def _comparison_row(comparison: Comparison) -> str:
    found = comparison.difference
    p_value = f"&lt;&nbsp;{SMALLEST_P}" if found.p_value < SMALLEST_P else f"{found.p_value:.3f}"
    cells = (number(found.mean), _interval(found), p_value, str(found.count))
    return f"<tr><th>{measure_title(comparison.measure)}</th>{''.join(map(_number_cell, cells))}</tr>"


def _number_cell(text: str) -> str:
    return f'<td class="number">{text}</td>'


def published_table(results: Results, published: Sequence[Published]) -> str:
    """Returns our numbers with those of papers below them, by measure; empty if no measure is in both."""
    measures = [name for name in results.measures() if any(row.measure == name for row in published)]
    rows: list[str] = []
    for name in measures:
        rows.append(f'<tr class="group"><th colspan="4">{measure_title(name)}</th></tr>')
        rows += [_our_row(system, name) for system in results.systems if system.value(name) is not None]
        rows += [_published_row(row) for row in published if row.measure == name]
    head = ["<th>System</th>", '<th class="number">Value</th>', "<th>Source</th>", "<th>Data</th>"]
    return table(head, rows) if rows else ""


def _our_row(system: SystemResults, name: str) -> str:
    value = system.value(name)
    assert value is not None
    count = system.summaries[name].count if name in system.summaries else len(system.clips)
    clips = f"{count} clip{'' if count == 1 else 's'}"
    cells = f"{_number_cell(number(value))}<td>this evaluation</td><td>{clips}</td>"
    return f'<tr class="ours"><td class="name">{escaped(system.name)}</td>{cells}</tr>'


def _published_row(row: Published) -> str:
    data = f"{row.data}; {row.note}" if row.note else row.data
    cells = f"{_number_cell(escaped(row.value))}<td>{escaped(row.source)}</td><td>{escaped(data)}</td>"
    return f'<tr><td class="name">{escaped(row.system)}</td>{cells}</tr>'


def problems_table(problems: Sequence[Unmatched]) -> str:
    """Returns what takes no part, or only a part, with the reasons."""
    head = ["<th>Clip</th>", "<th>System</th>", "<th>Reason</th>"]
    rows = (
        f'<tr><td class="name">{escaped(problem.clip)}</td><td class="name">{escaped(problem.system)}</td>'
        f'<td class="wide">{escaped(problem.reason)}</td></tr>'
        for problem in problems[:MAX_PROBLEMS_SHOWN]
    )
    return table(head, rows)


def left_out_table(left_out: dict[str, str]) -> str:
    """Returns the measures that were not computed, with what they need."""
    rows = (
        f'<tr><td class="name">{_titles(group)}</td><td class="wide">{escaped(needs.removeprefix("needs "))}</td></tr>'
        for group, needs in left_out.items()
    )
    return table(["<th>Measures</th>", "<th>Need</th>"], rows)


def _titles(group: str) -> str:
    return "; ".join(escaped(measure.title) for measure in MEASURES.values() if measure.group == group)


def meanings_table(names: Sequence[str]) -> str:
    """Returns what each measure says, its range and its source."""
    head = ["<th>Measure</th>", "<th>What it says</th>", "<th>Range</th>", "<th>Needs</th>", "<th>Source</th>"]
    return table(head, map(_meaning_row, names))


def _meaning_row(name: str) -> str:
    measure = MEASURES[name]
    low, high = (f"{end:g}".replace("inf", "∞").replace("-", "\N{MINUS SIGN}") for end in measure.range)
    return (
        f'<tr><th>{measure_title(name)}<br><span class="unit">{name}</span></th>'
        f'<td class="wide">{escaped(measure.meaning)}</td><td>{low}&nbsp;to&nbsp;{high}</td>'
        f'<td class="name">{escaped(GROUPS[measure.group])}</td><td class="wide">{escaped(measure.source)}</td></tr>'
    )


def clip_table(results: Results, clip: str) -> str:
    """Returns the numbers of one clip."""
    head = [
        "<th>Measure</th>",
        *(f'<th class="number system">{escaped(system.name)}</th>' for system in results.systems),
    ]
    found = [system.clips.get(clip, {}) for system in results.systems]
    rows = (
        f"<tr><th>{measure_title(name)}</th>"
        + "".join(_number_cell(number(values[name]) if name in values else "–") for values in found)
        + "</tr>"
        for name in results.measures()
        if any(name in values for values in found)
    )
    return table(head, rows)


def settings_table(settings: dict) -> str:
    """Returns what was chosen."""
    rows = (
        f'<tr><th>{escaped(name)}</th><td class="wide">{escaped(_setting(value))}</td></tr>'
        for name, value in settings.items()
    )
    return table(["<th>Setting</th>", "<th>Value</th>"], rows)


def _setting(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "–" if value is None else str(value)
