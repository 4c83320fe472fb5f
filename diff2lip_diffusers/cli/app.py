"""The command `diff2lip app`."""

import argparse
import threading
from typing import Any

from ..errors import Diff2LipError
from ..hub import DTYPES
from .arguments import POSITIVE, number
from .commands import COMMANDS


def add_app(commands) -> None:
    """Adds the command."""
    app = commands.add_parser(
        "app",
        help=COMMANDS["app"],
        description="Serves a page on which people lip-sync videos and make models of their own faces. Only this"
        ' machine can see it, unless --host or --share says otherwise. Needs pip install "diff2lip-diffusers[app]".',
    )
    app.add_argument(
        "--model",
        dest="models",
        action="append",
        default=[],
        metavar="[NAME=]DIR_OR_REPO",
        help="model that the page offers, by a name of yours; repeatable (default: the demo's, for drawn faces)",
    )
    app.add_argument("--device", help="cpu, cuda, cuda:1, mps (default: the fastest there is)")
    app.add_argument("--dtype", choices=DTYPES, help="precision (default: the fastest good one)")
    app.add_argument("--restore", metavar="FILE", help="weights of a face restorer that people may switch on")
    app.add_argument(
        "--own-syncnet",
        metavar="DIR",
        help="SyncNet of yours that measures the offset of results (default: the package's, for drawn faces only)",
    )
    where = app.add_argument_group("who sees it")
    where.add_argument("--host", default="127.0.0.1", help="interface to serve on (default: 127.0.0.1, this machine)")
    where.add_argument("--port", type=number(int, 0, 65535, "a number from 0 to 65535"), default=7860, metavar="N",
                       help="port; 0 for a free one (default: 7860)")  # fmt: skip
    where.add_argument(
        "--auth",
        type=_name_and_password,
        action="append",
        default=[],
        metavar="NAME:PASSWORD",
        help="who may log in; repeatable (default: everybody who reaches the host)",
    )
    where.add_argument("--share", action="store_true", help="make it public through Gradio's tunnel; use --auth, too")
    limits = app.add_argument_group("limits")
    above_0 = number(float, 1e-9, 1e9, "a number above 0")
    for flag, kind, metavar, text in (
        ("--max-upload-mb", above_0, "MB", "largest file (default: 200)"),
        ("--max-duration", above_0, "SECONDS", "longest video and speech (default: 60)"),
        ("--max-pixels", POSITIVE, "N", "most pixels of a frame (default: 1920 × 1088)"),
        ("--max-text", POSITIVE, "N", "longest text in characters (default: 500)"),
        ("--max-jobs", POSITIVE, "N", "jobs that wait or run (default: 20)"),
        ("--max-jobs-per-person", POSITIVE, "N", "of these, jobs of one person (default: 2)"),
        ("--max-stored-mb", above_0, "MB", "size of all people's files (default: 10000)"),
        ("--keep", above_0, "SECONDS", "delete files after this time (default: 3600)"),
        ("--max-personal-minutes", above_0, "MINUTES", "longest training of a person's model (default: 30)"),
    ):
        name = {"--keep": "keep_s"}.get(flag, flag[2:].replace("-", "_"))
        limits.add_argument(flag, dest=name, type=kind, metavar=metavar, default=argparse.SUPPRESS, help=text)
    limits.add_argument("--no-personal", dest="personal", action="store_false", help="no models of people's own faces")
    app.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> None:
    from ..app.server import Address, check_gradio, serving
    from ..app.settings import AppSettings

    check_gradio()
    settings = AppSettings(**_settings_of(args))
    with serving(settings, Address(args.host, args.port, args.auth, args.share)) as served:
        print(f"{served.url}: open it in a browser; Ctrl-C ends it", flush=True)
        if served.share_url:
            print(f"{served.share_url}: public", flush=True)
        threading.Event().wait()


def _settings_of(args: argparse.Namespace) -> dict[str, Any]:
    from dataclasses import fields

    from ..app.settings import AppSettings

    names = {each.name for each in fields(AppSettings)}
    given = {name: value for name, value in vars(args).items() if name in names and value is not None}
    models = dict(_named_model(text) for text in args.models)
    if len(models) < len(args.models):
        raise Diff2LipError("two models have the same name; give them names: --model NAME=DIR_OR_REPO")
    return {name: value for name, value in given.items() if name != "models"} | ({"models": models} if models else {})


def _named_model(text: str) -> tuple[str, str]:
    name, equals, source = text.partition("=")
    return (name, source) if equals and name and source else (text.rstrip("/").rpartition("/")[2], text)


def _name_and_password(text: str) -> tuple[str, str]:
    name, colon, password = text.partition(":")
    if not (name and colon and password):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME:PASSWORD")
    return name, password
