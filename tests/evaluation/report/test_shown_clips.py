"""Which clips a report plays."""

import pytest

from diff2lip_diffusers.evaluation.report.shown_clips import choose_clips, ranking_measure
from diff2lip_diffusers.evaluation.results import Results, build_results


def results_of(**systems: dict[str, dict[str, float]]) -> Results:
    clips = sorted({clip for values in systems.values() for clip in values})
    records = [
        {
            "name": clip,
            "notes": [],
            "systems": {
                name: {"values": values[clip], "curves": {}, "notes": []}
                for name, values in systems.items()
                if clip in values
            },
        }
        for clip in clips
    ]
    return build_results(list(systems), records, [], {}, {}, {})


NAMES = [f"clip{number}" for number in range(5)]


@pytest.mark.parametrize(
    ("measure", "values", "expected"),
    [
        ("lse_c", [3, 1, 5, 2, 4], ["clip2", "clip0", "clip1"]),
        ("own_lse_c", [1, 2, 3, 4, 5], ["clip4", "clip2", "clip0"]),
        ("laplacian_ratio", [0.1, 1.0, 3.0, 1.2, 0.5], ["clip1", "clip4", "clip2"]),
    ],
)
def test_best_median_and_worst(measure, values, expected):
    results = results_of(a={name: {measure: value} for name, value in zip(NAMES, values, strict=True)})
    shown = choose_clips(results, NAMES, 3)
    assert [(clip.name, clip.rank) for clip in shown] == list(zip(expected, ("best", "median", "worst"), strict=True))


def test_clips_are_ranked_by_the_mean_over_systems_and_only_where_all_have_a_number():
    a = {name: {"psnr_painted": 30.0 + number} for number, name in enumerate(NAMES)}
    b = {name: {"psnr_painted": 50.0 - 3 * number} for number, name in enumerate(NAMES[:4])}
    assert [clip.name for clip in choose_clips(results_of(a=a, b=b), NAMES, 9)] == NAMES[:4]


def test_without_such_a_measure_the_first_clips_are_shown():
    results = results_of(a={name: {"flicker": 0.0} for name in NAMES})
    assert ranking_measure(results) is None
    assert [clip.name for clip in choose_clips(results, NAMES, 2)] == NAMES[:2]


@pytest.mark.parametrize(("count", "ranks"), [(0, []), (1, ["best"]), (2, ["best", "worst"])])
def test_few_clips(count, ranks):
    results = results_of(a={name: {"lse_c": float(number)} for number, name in enumerate(NAMES)})
    assert [clip.rank for clip in choose_clips(results, NAMES, count)] == ranks
