"""Runs a command of `diff2lip` in this process, for tests of what it prints and how it ends."""

from diff2lip_diffusers import cli


def run_command(capfd, *arguments: str) -> tuple[int, list[str], list[str]]:
    """Exit code, lines of output, and lines of errors."""
    try:
        code = cli.main(list(arguments))
    except SystemExit as end:
        code = end.code
    captured = capfd.readouterr()
    return code, captured.out.splitlines(), captured.err.splitlines()
