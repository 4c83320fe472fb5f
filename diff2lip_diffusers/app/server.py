"""Serves the page until it is closed."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import Diff2LipError
from .desk import Desk
from .settings import MB, AppSettings

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 7860
# Sessions whose state Gradio keeps; older ones start anew.
MAX_SESSIONS = 500
# Requests of all kinds that wait for Gradio at a time.
MAX_WAITING = 1000


@dataclass(frozen=True)
class Address:
    """Where the page is served, and to whom.

    Attributes:
        host: name or number of the interface; loopback by default.
        port: of the interface; 0 for a free one.
        auth: names and passwords; empty for everybody who reaches the host.
        share: whether Gradio's tunnel makes the page public.
    """

    host: str = LOOPBACK
    port: int = DEFAULT_PORT
    auth: Sequence[tuple[str, str]] = ()
    share: bool = False


@dataclass(frozen=True)
class Served:
    """A page that is being served.

    Attributes:
        url: of the page on this machine.
        share_url: of the public tunnel, if there is one.
        desk: takes its jobs.
    """

    url: str
    share_url: str | None
    desk: Desk


def check_gradio() -> None:
    """Makes sure that Gradio 6 is installed.

    Raises:
        Diff2LipError: if not.
    """
    try:
        import gradio
    except ImportError as error:
        raise Diff2LipError('the page needs Gradio: pip install "diff2lip-diffusers[app]"') from error
    if int(gradio.__version__.split(".")[0]) < 6:
        found = gradio.__version__
        raise Diff2LipError(f'the page needs Gradio 6, found {found}: pip install "diff2lip-diffusers[app]"')


@contextmanager
def serving(settings: AppSettings, address: Address, parent: Path | None = None) -> Iterator[Served]:
    """Serves the page while the block runs; afterwards its jobs have ended and its files are deleted.

    Args:
        settings: of the page.
        address: where it is served.
        parent: folder for temporary files; by default the system's.

    Raises:
        Diff2LipError: if Gradio is missing, or the address cannot be used.
    """
    check_gradio()
    from starlette.middleware import Middleware

    from .request_guard import RequestGuard

    desk = Desk(settings, parent)
    try:
        with _gradio_files_in(desk.files.folder):
            from .page import STYLE, build_page

            page = build_page(desk)
            page.queue(max_size=MAX_WAITING)
            try:
                _, url, share_url = page.launch(
                    server_name=address.host,
                    server_port=address.port or None,
                    auth=list(address.auth) or None,
                    share=address.share,
                    max_file_size=int(settings.max_upload_mb * MB),
                    state_session_capacity=MAX_SESSIONS,
                    css_paths=[STYLE],
                    app_kwargs={"middleware": [Middleware(RequestGuard, settings=settings, files=desk.files)]},
                    prevent_thread_lock=True,
                    show_error=False,
                    quiet=True,
                    footer_links=[],
                    run_history=False,
                    enable_monitoring=False,
                    ssr_mode=False,
                    mcp_server=False,
                    pwa=False,
                )
            except OSError as error:
                raise Diff2LipError(f"{address.host}:{address.port}: cannot be used: {error}") from error
            try:
                yield Served(url, share_url, desk)
            finally:
                page.close(verbose=False)
    finally:
        desk.close()


@contextmanager
def _gradio_files_in(folder: Path) -> Iterator[None]:
    """Lets Gradio keep its files in a folder, and ask no other server for anything."""
    wanted = {"GRADIO_TEMP_DIR": str(folder), "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
