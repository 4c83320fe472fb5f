"""Results of an evaluation: every number of every clip, means with intervals, and tests between systems."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from pathlib import Path

from .clips import Unmatched
from .measures.table import GROUPS, MEASURES
from .statistics import Difference, Summary, compare, summarize


@dataclass(frozen=True)
class SystemResults:
    """The numbers of one system.

    Attributes:
        name: of the system.
        clips: by clip, its numbers by measure.
        curves: by clip, what the report draws.
        summaries: mean and interval by measure.
        overall: measures that have one value for all clips (FID and its kin).
    """

    name: str
    clips: dict[str, dict[str, float]] = field(default_factory=dict)
    curves: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    summaries: dict[str, Summary] = field(default_factory=dict)
    overall: dict[str, float] = field(default_factory=dict)

    def value(self, measure: str) -> float | None:
        """The mean, or the one value, of a measure; None if it was not measured."""
        if measure in self.overall:
            return self.overall[measure]
        return self.summaries[measure].mean if measure in self.summaries else None


@dataclass(frozen=True)
class Comparison:
    """A paired test between two systems on the clips that both have."""

    first: str
    second: str
    measure: str
    difference: Difference


@dataclass(frozen=True)
class Results:
    """Everything that a report shows.

    Attributes:
        systems: in the order in which they were named.
        comparisons: of each pair of systems, by measure.
        problems: files that take no part, or only a part, with the reason.
        left_out: groups of measures that were not computed, with what they need.
        settings: what was chosen.
    """

    systems: list[SystemResults]
    comparisons: list[Comparison]
    problems: list[Unmatched]
    left_out: dict[str, str]
    settings: dict

    def measures(self) -> list[str]:
        """The names of all measures that some system has, in the order of the table."""
        found = {name for system in self.systems for name in (*system.summaries, *system.overall)}
        return [name for name in MEASURES if name in found]

    def to_json(self) -> dict:
        """Plain JSON values, the same for the same results."""
        return {
            "settings": self.settings,
            "systems": [
                {
                    "name": system.name,
                    "summaries": {name: asdict(summary) for name, summary in system.summaries.items()},
                    "overall": system.overall,
                    "clips": system.clips,
                }
                for system in self.systems
            ],
            "comparisons": [asdict(comparison) for comparison in self.comparisons],
            "problems": [asdict(problem) for problem in self.problems],
            "left_out": self.left_out,
        }


def build_results(
    systems: Sequence[str],
    records: Iterable[dict],
    unmatched: Sequence[Unmatched],
    overall: dict[str, dict[str, float]],
    left_out: dict[str, str],
    settings: dict,
) -> Results:
    """Returns the results of all clips.

    Args:
        systems: their names.
        records: of each clip, from `measure_clip`.
        unmatched: what could not be matched by name.
        overall: by system, measures over all clips.
        left_out: groups of measures that were not computed, with the reason.
        settings: what was chosen, as plain JSON values.
    """
    found = {name: SystemResults(name, overall=overall.get(name, {})) for name in systems}
    problems = list(unmatched)
    for record in records:
        problems += [Unmatched(record["name"], "reference", note) for note in record["notes"]]
        for system, measured in record["systems"].items():
            problems += [Unmatched(record["name"], system, note) for note in measured["notes"]]
            if not measured.get("failed"):
                found[system].clips[record["name"]] = measured["values"]
                found[system].curves[record["name"]] = measured["curves"]
    for system in found.values():
        system.summaries.update(_summaries(system))
    problems, in_no_clip = _gathered(problems, found)
    comparisons = _comparisons(list(found.values()))
    return Results(list(found.values()), comparisons, problems, left_out | in_no_clip, settings)


def _gathered(
    problems: Sequence[Unmatched], systems: Mapping[str, SystemResults]
) -> tuple[list[Unmatched], dict[str, str]]:
    """Returns the problems, and the groups of measures that no clip has, with the one reason.

    What all clips of a system have in common is one problem.
    """
    clips: dict[tuple[str, str], set[str]] = defaultdict(set)
    for problem in problems:
        clips[problem.system, problem.reason].add(problem.clip)
    common = {(name, reason) for (name, reason), having in clips.items() if _are_all(having, systems.get(name))}
    everywhere = {reason for _, reason in common if all((name, reason) in common for name in systems)}
    in_no_clip = dict(reason.split(": ", 1) for reason in everywhere if reason.split(": ", 1)[0] in GROUPS)
    kept: dict[Unmatched, None] = {}
    for problem in problems:
        if (problem.system, problem.reason) not in common:
            kept[problem] = None
        elif problem.reason.split(": ", 1)[0] not in in_no_clip:
            kept[Unmatched(f"all {len(systems[problem.system].clips)} clips", problem.system, problem.reason)] = None
    return list(kept), {group: in_no_clip[group] for group in GROUPS if group in in_no_clip}


def _are_all(clips: set[str], system: SystemResults | None) -> bool:
    return system is not None and len(clips) > 1 and clips == system.clips.keys()


def _summaries(system: SystemResults) -> dict[str, Summary]:
    columns = {
        name: [values[name] for values in system.clips.values() if name in values]
        for name in MEASURES
        if any(name in values for values in system.clips.values())
    }
    return {name: summarize(values) for name, values in columns.items()}


def _comparisons(systems: Sequence[SystemResults]) -> list[Comparison]:
    found = []
    for first, second in combinations(systems, 2):
        for name in MEASURES:
            both = [
                clip for clip, values in first.clips.items() if name in values and name in second.clips.get(clip, {})
            ]
            if both:
                pairs = ([system.clips[clip][name] for clip in both] for system in (first, second))
                found.append(Comparison(first.name, second.name, name, compare(*pairs)))
    return found


def write_json(results: Results, path: Path) -> None:
    """Writes the results for programs."""
    text = json.dumps(results.to_json(), indent=1, ensure_ascii=False, sort_keys=True)
    path.write_text(text + "\n", "utf-8", errors="backslashreplace")  # file names may hold what UTF-8 has not
