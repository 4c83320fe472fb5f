"""MkDocs hook: takes Markdown files from outside `docs/` into the site, and checks and adapts links between files.

In a checkout and on GitHub links are relative to their file. In the site, links between pages lead to pages; those to
other files lead to the repository's page if `repo_url` is set, and are plain text otherwise.
"""

import logging
import os
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
# Files outside `docs/` and their names in the site.
PAGES = {
    "README.md": "readme.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "model_card.md": "model-card.md",
    "recipes/demo/README.md": "demo-weights.md",
    "conversion/README.md": "conversion.md",
}
LINK = re.compile(r"!?\[(?P<label>[^\[\]]*)\]\((?!https?://|mailto:|#)(?P<path>[^)#\s]+)(?P<anchor>#[^)\s]+)?\)")

logger = logging.getLogger("mkdocs.hooks.repository_pages")


def on_files(files, config):
    """Adds the pages from outside `docs/`."""
    for source, name in PAGES.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page, config, files) -> str:
    """Adapts the links of a page; warns of those that lead to no file. MkDocs checks what is left, and anchors."""
    sources = {name: ROOT / source for source, name in PAGES.items()}
    source = sources.get(page.file.src_uri, DOCS / page.file.src_uri)

    def adapted(link: re.Match) -> str:
        target = Path(os.path.normpath(source.parent / link["path"]))
        if not target.exists():
            logger.warning("%s: links to %s, which does not exist", source.relative_to(ROOT), link["path"])
        path = target.relative_to(ROOT).as_posix()
        if path in PAGES or target.is_relative_to(DOCS):
            address = PAGES.get(path, path.removeprefix("docs/"))
        elif config.repo_url:
            address = f"{config.repo_url.rstrip('/')}/{'tree' if target.is_dir() else 'blob'}/main/{path}"
        else:
            return link["label"]
        return link[0].replace(f"({link['path']}", f"({address}")

    return LINK.sub(adapted, markdown)
