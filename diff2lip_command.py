"""Starts the program `diff2lip`: answers `--help` and `--version` at once, and loads the package for anything else.

It lies beside the package because importing anything of the package loads torch and diffusers, to register with them.
"""

import importlib.util
import os
import runpy
import signal
import sys
from pathlib import Path

OVERVIEW = ("-h", "--help", "--version")
EXIT_FAILED, EXIT_INTERRUPTED = 1, 130


def main() -> int:
    """Runs the command line of this process and returns its exit code."""
    if sys.argv[1:2] == [] or sys.argv[1] in OVERVIEW:
        _commands()["overview_parser"]().parse_args()
    before = signal.getsignal(signal.SIGINT)
    if before != signal.SIG_IGN:
        signal.signal(signal.SIGINT, _leave)
    try:
        from diff2lip_diffusers.cli import main as run_command
    except ImportError as error:
        print(f"diff2lip: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_FAILED
    signal.signal(signal.SIGINT, before)
    return run_command()


def _commands() -> dict:
    """The names in the file that lists the commands, which is run by itself."""
    package = importlib.util.find_spec("diff2lip_diffusers")
    assert package is not None and package.origin is not None  # installed together with this file
    return runpy.run_path(str(Path(package.origin).parent / "cli" / "commands.py"))


def _leave(_number: int, _frame: object) -> None:
    """Ends the process while it loads, when nothing has been written yet: libraries turn Ctrl-C into other errors."""
    os.write(2, b"diff2lip: interrupted\n")
    os._exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())
