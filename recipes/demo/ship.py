#!/usr/bin/env python3
"""Puts trained weights into the package, in half precision: the demo's, and the SyncNet that judges drawn people.

python recipes/demo/ship.py demo-run/voices_64px/model
python recipes/demo/ship.py demo-run/syncnet/model
"""

import sys
from pathlib import Path

from diff2lip_diffusers.demo.demo_clip import demo_model_folder
from diff2lip_diffusers.evaluation.measures.choice import DRAWN_SYNCNET
from diff2lip_diffusers.hub import load_pipeline
from diff2lip_diffusers.output_paths import filling_folder
from diff2lip_diffusers.syncnet import load_syncnet

CARD = Path(__file__).parent / "model_card.md"


def main(model: str) -> None:
    """Replaces the weights of the demo, or the SyncNet, by what the folder holds."""
    if (Path(model) / "model_index.json").is_file():
        ship_pipeline(model)
    else:
        ship_syncnet(model)


def ship_pipeline(model: str) -> None:
    """Replaces the weights that the demo runs with."""
    pipe = load_pipeline(model, device="cpu", dtype="fp16")
    with filling_folder(demo_model_folder()) as folder:
        pipe.save_pretrained(folder)
        (folder / "README.md").write_text(CARD.read_text(encoding="utf-8"), encoding="utf-8")


def ship_syncnet(model: str) -> None:
    """Replaces the SyncNet of `diff2lip evaluate --own-syncnet drawn`."""
    with filling_folder(DRAWN_SYNCNET) as folder:
        load_syncnet(model).half().save_pretrained(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
