#!/usr/bin/env python3
"""Draws the Mermaid figures of the documentation as SVG files, so that readers need neither a script nor a network.

npm pack mermaid && tar xzf mermaid-*.tgz    # gives package/dist/mermaid.min.js
python docs/scripts/draw_figures.py package/dist/mermaid.min.js --browser chromium
"""

import argparse
import hashlib
import html
import json
import re
import subprocess
import tempfile
from pathlib import Path

DOCS = Path(__file__).parents[1]
# Labels as SVG text: HTML inside an SVG is not shown where the file is embedded as an image.
SETTINGS = {
    "startOnLoad": False,
    "htmlLabels": False,
    "flowchart": {"htmlLabels": False},
    "theme": "neutral",
    "fontFamily": "Helvetica, Arial, sans-serif",
    "deterministicIds": True,
}
PAGE = """<pre id="out"></pre><script src="{mermaid}"></script><script>
mermaid.initialize({settings});
mermaid.render("figure", {source}).then((drawn) => {{ document.getElementById("out").textContent = drawn.svg; }});
</script>"""


def main() -> None:
    """Draws every figure anew."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("mermaid", type=Path, help="mermaid.min.js of the npm package mermaid, version 11")
    parser.add_argument("--browser", default="chromium", help="a Chromium program (default: chromium)")
    args = parser.parse_args()
    for source in sorted((DOCS / "figures").glob("*.mmd")):
        drawn = draw(source.read_text(encoding="utf-8"), args.mermaid.resolve(), args.browser)
        (DOCS / "images" / f"{source.stem}.svg").write_text(f"{drawn}\n{mark_of(source)}\n", encoding="utf-8")


def mark_of(source: Path) -> str:
    """Returns the comment at the end of a drawn figure that tells from which source it was drawn."""
    return f"<!-- source: sha256 {hashlib.sha256(source.read_bytes()).hexdigest()} -->"


def draw(source: str, mermaid: Path, browser: str) -> str:
    """Returns the SVG of a Mermaid source."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        settings = json.dumps(SETTINGS)
        page.write_text(PAGE.format(mermaid=mermaid.as_uri(), settings=settings, source=json.dumps(source)), "utf-8")
        options = ["--headless", "--no-sandbox", "--allow-file-access-from-files", "--virtual-time-budget=8000"]
        command = [browser, *options, "--dump-dom", page.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    found = re.search(r'<pre id="out">(<?.*?)</pre>', done.stdout, re.DOTALL)
    if found is None or not found.group(1):
        raise SystemExit("the browser has drawn nothing; is the source valid Mermaid?")
    drawn = html.unescape(found.group(1)).replace("<br>", "<br/>")
    return drawn.replace('style="', 'style="background-color: white; ', 1)  # readable on dark pages, too


if __name__ == "__main__":
    main()
