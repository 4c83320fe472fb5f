"""Serves the live page in a thread of its own until it is closed."""

import asyncio
import importlib.util
import ipaddress
import logging
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import Diff2LipError
from ..engine import LiveLipSync
from .settings import SOUND_HZ, PageAddress, PageSettings

logger = logging.getLogger(__name__)

EVERYWHERE = ("0.0.0.0", "::", "")
NEEDED = ("aiortc", "aiohttp")


@dataclass(frozen=True)
class ServedPage:
    """A live page that is being served.

    Attributes:
        url: of the page.
    """

    url: str


def check_aiortc() -> None:
    """Makes sure that aiortc and aiohttp are installed.

    Raises:
        Diff2LipError: if not.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise Diff2LipError(f'the page needs {" and ".join(missing)}: pip install "diff2lip-diffusers[live]"')


@contextmanager
def serving_live(engine: LiveLipSync, settings: PageSettings, address: PageAddress) -> Iterator[ServedPage]:
    """Serves the page while the block runs; afterwards all sessions have ended.

    Args:
        engine: that was started, with an idle clip as its `source`.
        settings: of the page.
        address: where it is served.

    Raises:
        Diff2LipError: if aiortc is missing, the machine is too slow, or the address cannot be used.
    """
    check_aiortc()
    _warm_up(engine)
    begun: Future[tuple[str, Callable[[], None]]] = Future()

    def run() -> None:
        try:
            asyncio.run(_serve(engine, settings, address, begun))
        except BaseException as error:
            if begun.done():
                logger.exception("the page has stopped")
            else:
                begun.set_exception(error)

    thread = threading.Thread(target=run, name="live-page", daemon=True)
    thread.start()
    try:
        url, stop = begun.result()
    except Diff2LipError:
        thread.join()
        raise
    try:
        yield ServedPage(url)
    finally:
        stop()
        thread.join()


def _warm_up(engine: LiveLipSync) -> None:
    """Refuses if the machine is too slow; paints the mouth at rest, and makes the filters for browsers' sound."""
    with engine.open_session() as session:
        session.push_audio(np.zeros(SOUND_HZ // 50, np.float32), SOUND_HZ)


async def _serve(engine: LiveLipSync, settings: PageSettings, address: PageAddress, begun: Future) -> None:
    """Serves until the function is called that `begun` gets beside the address."""
    from aiohttp import web

    from .conversations import Conversations
    from .guard import guard
    from .routes import MAX_BODY_BYTES, Routes

    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.set_exception_handler(_note)
    conversations = Conversations(engine, settings, _media_addresses(address))
    app = web.Application(middlewares=[guard(address)], client_max_size=MAX_BODY_BYTES)
    Routes(conversations).add_to(app)
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    watching = asyncio.ensure_future(conversations.watch())
    try:
        site = web.TCPSite(runner, address.host, address.port, ssl_context=_ssl_context(address))
        try:
            await site.start()
        except OSError as error:
            raise Diff2LipError(f"{address.host}:{address.port}: cannot be used: {error}") from error
        url = _url(address, runner.addresses[0][1])
        begun.set_result((url, lambda: loop.call_soon_threadsafe(ended.set)))
        await ended.wait()
    finally:
        watching.cancel()
        await conversations.close()
        await runner.cleanup()


def _media_addresses(address: PageAddress) -> list[str] | None:
    """Addresses that media come from: that of the page; None for all of this machine."""
    if address.is_loopback:
        return ["::1" if address.host == "::1" else "127.0.0.1"]
    try:
        return None if ipaddress.ip_address(address.host).is_unspecified else [address.host]
    except ValueError:  # a name
        return None


def _url(address: PageAddress, port: int) -> str:
    host = "127.0.0.1" if address.host in EVERYWHERE else address.host
    scheme = "http" if address.certificate is None else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _ssl_context(address: PageAddress) -> ssl.SSLContext | None:
    if address.certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(address.certificate, address.key)
    except (OSError, ssl.SSLError) as error:
        reason = f"is not a certificate with its key (--certificate, --key): {error}"
        raise Diff2LipError(f"{address.certificate}: {reason}") from error
    return context


def _note(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Notes what went wrong in a connection, in one line: a stranger's packets can cause it."""
    logger.warning("in a connection: %s %s", context.get("message", ""), context.get("exception", ""))
