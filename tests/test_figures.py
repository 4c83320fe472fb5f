import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
MARK_OF = runpy.run_path(str(DOCS / "scripts" / "draw_figures.py"))["mark_of"]


@pytest.mark.parametrize("source", sorted((DOCS / "figures").glob("*.mmd")), ids=lambda path: path.stem)
def test_a_drawn_figure_is_that_of_its_source(source):
    drawn = (DOCS / "images" / f"{source.stem}.svg").read_text(encoding="utf-8")
    assert drawn.strip().endswith(MARK_OF(source)), "draw it anew: python docs/scripts/draw_figures.py"
