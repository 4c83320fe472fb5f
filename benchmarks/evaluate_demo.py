#!/usr/bin/env python3
"""Judges the demo's weights by `diff2lip evaluate`, on drawn people of the test split, whose true mouths are known.

Each person is lip-synced with the speech of the next one, by the teacher, and by the student in four, two and one
steps. The reference of all measures is the truth: the same person in the same poses, saying the target speech.
Controls made from the truth show that the measures do what they should. Stopped runs resume.

    python benchmarks/evaluate_demo.py [--output evaluate-demo] [--people 20] [--frames 120] [--systems NAME...]
"""

import argparse
import sys
from pathlib import Path

import torch

from diff2lip_diffusers.batch.pairs import Pair
from diff2lip_diffusers.demo.demo_clip import demo_model_folder, teacher_folder
from diff2lip_diffusers.evaluation.drawn_people import CONTROLS, draw_people, write_control, write_people
from diff2lip_diffusers.evaluation.lip_sync_drawn import lip_sync_drawn
from diff2lip_diffusers.evaluation.measures.choice import DRAWN, DRAWN_SYNCNET
from diff2lip_diffusers.evaluation.run import Evaluation, evaluate
from diff2lip_diffusers.hub import load_pipeline
from diff2lip_diffusers.schedulers import make_scheduler

# Systems by name: whose weights, scheduler (None: the model's own), denoising steps.
SYSTEMS = {
    "teacher, DDIM 25": ("teacher", "ddim", 25),
    "teacher, DPM-Solver++ 8": ("teacher", "dpmsolver++", 8),
    "student, 4 steps": ("model", None, 4),
    "student, 2 steps": ("model", None, 2),
    "student, 1 step": ("model", None, 1),
}
# The faces are larger than the crops, so that the crops and not the videos limit the sharpness.
SIZE_PX = 288


def main() -> None:
    """Writes everything below the output folder and prints two tables."""
    args = parse_args()
    torch.set_num_threads(1)
    folder = Path(args.output)
    people = draw_people(args.people, args.frames)
    pairs = write_people(folder, people, SIZE_PX)
    models = {"model": args.model, "teacher": args.teacher}
    systems: dict[str, str | Path] = {}
    for name in args.systems:
        weights, *how = SYSTEMS[name]
        systems[name] = lip_sync(folder / name, pairs, models[weights], *how)
    for control in CONTROLS:
        for person in people:
            write_control(folder / "controls" / control, control, person, folder / "truth", SIZE_PX)
    controls: dict[str, str | Path] = {name: folder / "controls" / name for name in CONTROLS}
    frames = sum(len(person.poses) for person in people)
    print(f"{len(people)} people, {frames} frames")
    for name, judged in (("report-systems", systems), ("report-controls", controls)):
        found = evaluate(
            None,
            folder / name,
            reference=folder / "truth",
            systems=judged,
            truth=folder / "truth",
            own_syncnet=args.syncnet or (DRAWN if DRAWN_SYNCNET.is_dir() else None),
            workers=args.workers,
        )
        print_table(found)


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", default="evaluate-demo", metavar="DIR", help="folder (default: evaluate-demo)")
    parser.add_argument("--model", default=str(demo_model_folder()), help="the student's folder (default: the demo's)")
    parser.add_argument("--teacher", default=str(teacher_folder()), help="the teacher's folder (default: the demo's)")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS), metavar="NAME", help="which")
    parser.add_argument("--syncnet", metavar="DIR", help="a SyncNet of drawn people (default: the package's)")
    parser.add_argument("--people", type=int, default=20, help="how many (default: 20)")
    parser.add_argument("--frames", type=int, default=120, help="longest clip in frames (default: 120, a sentence)")
    parser.add_argument("--workers", type=int, default=1, help="processes that measure (default: 1)")
    return parser.parse_args()


def lip_sync(folder: Path, pairs: list[Pair], model: str, scheduler: str | None, steps: int) -> Path:
    """Lip-syncs all people with known face boxes; returns the list of results."""
    pipe = load_pipeline(model, device="cpu", dtype="fp32")
    pipe.set_progress_bar_config(disable=True)
    if scheduler:
        pipe.scheduler = make_scheduler(scheduler, pipe.scheduler.config)

    def show(done: int, total: int) -> None:
        print(f"{folder.name}: {done} of {total}", file=sys.stderr)

    return lip_sync_drawn(pipe, pairs, folder, show, num_inference_steps=steps, batch_size=16)


def print_table(found: Evaluation) -> None:
    """Prints means and medians as Markdown."""
    results = found.results
    for problem in results.problems:
        print(f"{problem.clip}: {problem.system}: {problem.reason}")
    print("| mean (median) | " + " | ".join(system.name for system in results.systems) + " |")
    print("|---" * (len(results.systems) + 1) + "|")
    for measure in results.measures():
        cells = []
        for system in results.systems:
            summary = system.summaries.get(measure)
            cells.append("-" if summary is None else f"{summary.mean:.3g} ({summary.median:.3g})")
        print(f"| {measure} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
