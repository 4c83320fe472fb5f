"""The command `diff2lip live`."""

import argparse
import threading
from fractions import Fraction
from pathlib import Path

from ..hub import DTYPES, load_pipeline
from .arguments import POSITIVE, number
from .commands import COMMANDS
from .options import add_hub_place, hub_place, hush_libraries


def add_live(commands) -> None:
    """Adds the command."""
    live = commands.add_parser(
        "live",
        help=COMMANDS["live"],
        description="Serves a page on which a face says what a person says into a microphone or types. Only this"
        ' machine can see it, unless --host says otherwise. Needs pip install "diff2lip-diffusers[live]".',
    )
    live.add_argument("--model", metavar="DIR_OR_REPO", help="model (default: the demo's, for drawn faces)")
    live.add_argument(
        "--video",
        metavar="FILE",
        help="clip of the person who listens, or an image (default: the drawn face in the package)",
    )
    live.add_argument("--device", help="cpu, cuda, cuda:1, mps (default: the fastest there is)")
    live.add_argument("--dtype", choices=DTYPES, help="precision (default: the fastest good one)")
    live.add_argument("--fps", type=number(float, 1, 60, "a number from 1 to 60"), metavar="N",
                      help="frames per second (default: the most up to 25 that this machine keeps)")  # fmt: skip
    live.add_argument("--steps", type=POSITIVE, metavar="N", help="denoising steps (default: the model's, or 2)")
    live.add_argument("--detail", action="store_true", help="give the mouth detail from the other frames of the clip")
    live.add_argument("--max-sessions", type=POSITIVE, metavar="N",
                      help="people at a time (default: as many as this machine carries)")  # fmt: skip
    above_0 = number(float, 1e-9, 1e9, "a number above 0")
    limits = live.add_argument_group("limits")
    for flag, kind, metavar, text in (
        ("--max-text", POSITIVE, "N", "longest text in characters (default: 500)"),
        ("--idle", above_0, "SECONDS", "end a session after so long without speech (default: 300)"),
        ("--lost", above_0, "SECONDS", "keep the place of a lost connection so long (default: 30)"),
    ):
        name = flag[2:].replace("-", "_") + ("_s" if metavar == "SECONDS" else "")
        limits.add_argument(flag, dest=name, type=kind, metavar=metavar, default=argparse.SUPPRESS, help=text)
    where = live.add_argument_group("who sees it")
    where.add_argument("--host", default="127.0.0.1", help="interface to serve on (default: 127.0.0.1, this machine)")
    where.add_argument("--port", type=number(int, 0, 65535, "a number from 0 to 65535"), default=7870, metavar="N",
                       help="port; 0 for a free one (default: 7870)")  # fmt: skip
    where.add_argument("--certificate", type=Path, metavar="FILE", help="for HTTPS, which other machines need")
    where.add_argument("--key", type=Path, metavar="FILE", help="private key of the certificate")
    add_hub_place(live)
    live.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> None:
    from ..demo.demo_clip import demo_model_folder, load_demo_clip
    from ..live import IdleClip, LiveLipSync
    from ..live.page.server import check_aiortc, serving_live
    from ..live.page.settings import PageAddress, PageSettings
    from ..live.painting import LivePainting

    check_aiortc()
    given = {name: getattr(args, name) for name in ("max_text", "idle_s", "lost_s") if name in args}
    settings = PageSettings(**given)
    hush_libraries()
    pipe = load_pipeline(args.model or demo_model_folder(), args.device, args.dtype, **hub_place(args))
    fps = None if args.fps is None else Fraction(args.fps).limit_denominator(1001)
    painting = LivePainting(num_inference_steps=args.steps, detail=args.detail)
    engine = LiveLipSync(pipe, fps=fps, max_sessions=args.max_sessions, settings=painting)
    drawn = load_demo_clip()
    boxes = drawn.boxes if args.video is None and engine.fps <= 25 else None
    engine.source = IdleClip(pipe, args.video or drawn.video, engine.fps, boxes)
    address = PageAddress(args.host, args.port, args.certificate, args.key)
    with engine, serving_live(engine, settings, address) as served:
        people = "1 person" if engine.max_sessions == 1 else f"{engine.max_sessions} people"
        print(
            f"{served.url}: open it in a browser; {people} at {float(engine.fps):g} frames/s; Ctrl-C ends it",
            flush=True,
        )
        threading.Event().wait()
