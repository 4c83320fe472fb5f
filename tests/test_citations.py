"""Docstrings and comments cite only what a reader can look up: files of the repository, and published works."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
PACKAGE = REPOSITORY / "diff2lip_diffusers"
SOURCES = sorted(PACKAGE.rglob("*.py"))
# `tests/data/mel.npz`, docs/performance.md; not model files that a run writes.
CITED = re.compile(r"\b((?:docs|tests|benchmarks|conversion|recipes|examples)/[\w./-]*\w)")
# Names of documents in capitals, such as a specification that only its author has.
UNPUBLISHED = re.compile(r"\b[A-Z]{3,}(?:\.md)? \"[A-Z]")


def test_what_the_package_cites_is_there():
    missing = []
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        missing += [(path.name, cited) for cited in CITED.findall(text) if not (REPOSITORY / cited).exists()]
        missing += [(path.name, cited) for cited in UNPUBLISHED.findall(text)]
    assert missing == []
