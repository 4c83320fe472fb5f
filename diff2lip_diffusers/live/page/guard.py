"""Looks at every request first: where it comes from, and that no answer tells more than one line."""

import logging
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

from ...errors import Diff2LipError
from .conversations import NoPlaceError, UnknownSessionError
from .settings import LOOPBACK, PageAddress

logger = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HEADERS = {
    # The page loads nothing from elsewhere, and no other page can frame it.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def guard(address: PageAddress):
    """A middleware for the page at an address."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = _refusal(request, address) or await _answer(request, handler)
        response.headers.update(HEADERS)
        return response

    return guarded


def _refusal(request: web.Request, address: PageAddress) -> web.Response | None:
    """Why a request is refused: another website may have sent it with the person's browser."""
    host = _name_of(f"//{request.host}")
    if address.is_loopback and host not in LOOPBACK:
        return _line(403, "This page is served to this machine only.")
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        return _line(403, "Another page sent this request.")
    return None


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPRequestEntityTooLarge:
        return _line(413, "The request is too large.")
    except web.HTTPException as error:
        return _line(error.status, f"{error.reason}.")
    except UnknownSessionError as error:
        return _line(410 if error.has_ended else 404, str(error))
    except NoPlaceError as error:
        return _line(503, str(error))
    except (Diff2LipError, ValueError) as error:
        return _line(400, " ".join(str(error).split()))
    except Exception:
        logger.exception("a request to %s was not answered", request.path)
        return _line(500, "The request cannot be answered.")


def _line(status: int, reason: str) -> web.Response:
    return web.json_response({"error": reason}, status=status)


def _name_of(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None
