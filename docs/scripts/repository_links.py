"""MkDocs hook: checks the links to files of the repository, and makes those in the site lead to the repository's page.

Pages link to files outside `docs/` relatively (`../README.md`), so that they work on GitHub and in a checkout too.
"""

import logging
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Markdown that is not part of the site.
OTHERS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "conversion/README.md", "recipes/demo/README.md")
LINK = re.compile(r"(?<=\]\()(?!https?://|mailto:)([^)#\s]*)(#[^)\s]+)?(?=\))")
CODE = re.compile(r"```.*?```", re.DOTALL)

logger = logging.getLogger("mkdocs.hooks.repository_links")


def on_pre_build(config) -> None:
    """Warns of each link that leads nowhere, in the Markdown files that are not part of the site."""
    for name in OTHERS:
        page = ROOT / name
        for path, anchor in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
            _check(name, page.parent / path if path else page, anchor)


def on_page_markdown(markdown: str, page, config, files) -> str:
    """Replaces `../FILE` by the address of that file in the repository."""
    source = Path(page.file.abs_src_path)

    def replaced(match: re.Match) -> str:
        path, anchor = match[1], match[2] or ""
        if not path.startswith("../"):
            return match[0]
        target = (source.parent / path).resolve()
        _check(page.file.src_path, target, anchor)
        kind = "tree" if target.is_dir() else "blob"
        return f"{config.repo_url.rstrip('/')}/{kind}/main/{target.relative_to(ROOT).as_posix()}{anchor}"

    return LINK.sub(replaced, markdown)


def _check(page: str, target: Path, anchor: str) -> None:
    if not target.exists():
        logger.warning("%s: links to %s, which does not exist", page, target)
    elif anchor and target.suffix == ".md" and anchor[1:] not in _anchors(target):
        logger.warning("%s: links to %s%s, which has no such heading", page, target, anchor)


def _anchors(page: Path) -> set[str]:
    """Returns the anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ +(.+)$", CODE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
