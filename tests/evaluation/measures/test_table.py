"""The table in the documentation is that of the program."""

import re
from pathlib import Path

from diff2lip_diffusers.evaluation.measures.table import MEASURES, table_as_markdown

PAGE = Path(__file__).parents[3] / "docs" / "evaluation.md"


def test_the_page_has_the_table_of_all_measures():
    assert table_as_markdown() in PAGE.read_text(encoding="utf-8")


def test_every_measure_has_a_row_and_a_source():
    assert len(re.findall(r"^\| `", table_as_markdown(), re.MULTILINE)) == len(MEASURES)
    assert all(measure.meaning and measure.source for measure in MEASURES.values())
