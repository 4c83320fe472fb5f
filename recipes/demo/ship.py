#!/usr/bin/env python3
"""Puts trained weights into the package, in half precision, with their model card.

python recipes/demo/ship.py demo-run/voices_64px/model
"""

import sys
from pathlib import Path

from diff2lip_diffusers.demo.demo_clip import demo_model_folder
from diff2lip_diffusers.hub import load_pipeline
from diff2lip_diffusers.output_paths import filling_folder

CARD = Path(__file__).parent / "model_card.md"


def main(model: str) -> None:
    """Replaces the weights that the demo runs with."""
    pipe = load_pipeline(model, device="cpu", dtype="fp16")
    with filling_folder(demo_model_folder()) as folder:
        pipe.save_pretrained(folder)
        (folder / "README.md").write_text(CARD.read_text(encoding="utf-8"), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
