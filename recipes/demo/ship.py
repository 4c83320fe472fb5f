#!/usr/bin/env python3
"""Puts trained weights into the package, in half precision: the demo's two models, and the SyncNet of drawn people.

python recipes/demo/ship.py demo-run/student/model
python recipes/demo/ship.py demo-run/sharp_128px/model --as teacher --guidance-scale 1.6
python recipes/demo/ship.py demo-run/syncnet/model
"""

import argparse
from pathlib import Path

from diff2lip_diffusers.demo.demo_clip import ASSETS
from diff2lip_diffusers.evaluation.measures.choice import DRAWN_SYNCNET
from diff2lip_diffusers.hub import load_pipeline
from diff2lip_diffusers.output_paths import filling_folder
from diff2lip_diffusers.syncnet import load_syncnet

CARD = Path(__file__).parent / "model_card.md"


def main() -> None:
    """Replaces a model of the demo, or the SyncNet, by what the folder holds."""
    args = parse_args()
    if (Path(args.model) / "model_index.json").is_file():
        ship_pipeline(args.model, ASSETS / args.name, args.guidance_scale)
    else:
        ship_syncnet(args.model)


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", help="folder of a trained model")
    parser.add_argument("--as", dest="name", choices=("model", "teacher"), default="model", help="name in the package")
    parser.add_argument("--guidance-scale", type=float, default=1.0, help="the model's own (default: 1, off)")
    return parser.parse_args()


def ship_pipeline(model: str, place: Path, guidance_scale: float) -> None:
    """Replaces the weights that the demo runs with, or their teacher."""
    pipe = load_pipeline(model, device="cpu", dtype="fp16")
    pipe.register_to_config(default_guidance_scale=guidance_scale)
    for part in (pipe, pipe.unet, pipe.audio_encoder):
        part.register_to_config(_name_or_path=f"diff2lip-demo-{place.name}")
    with filling_folder(place) as folder:
        pipe.save_pretrained(folder)
        (folder / "README.md").write_text(CARD.read_text(encoding="utf-8"), encoding="utf-8")


def ship_syncnet(model: str) -> None:
    """Replaces the SyncNet of `diff2lip evaluate --own-syncnet drawn`."""
    with filling_folder(DRAWN_SYNCNET) as folder:
        load_syncnet(model).half().save_pretrained(folder)


if __name__ == "__main__":
    main()
