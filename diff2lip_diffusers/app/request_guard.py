"""Looks at every request before Gradio does: size, form, and which part of the server it asks for."""

import json
import os
from collections.abc import Callable
from typing import Any

from .settings import MB, AppSettings
from .temporary_files import TemporaryFiles

MAX_BODY_BYTES = 256 * 1024
MAX_DRAINED_BYTES = 8 * MB
# The frame of a multipart upload around its files.
UPLOAD_MARGIN_BYTES = MB
UPLOAD, FILE = "/upload", "/file="
# Parts of Gradio that the page has no use for.
UNUSED = ("/component_server", "/monitoring", "/proxy=", "/mcp", "/custom_component", "/process_recording", "/vibe")
HEADERS = (
    # No request leaves the server that the page came from.
    (b"content-security-policy", b"default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; object-src 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


class RequestGuard:
    """ASGI middleware that refuses what the page would never send.

    Args:
        app: the next one.
        settings: limits of the page.
        files: whose size uploads must not exceed.
    """

    def __init__(self, app: Callable, settings: AppSettings, files: TemporaryFiles):
        self._app, self._settings, self._files = app, settings, files

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        """Handles one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(receive)
        answer = await self._refusal(scope, body)
        if isinstance(answer, tuple):
            await _drain(body)
            await _refuse(send, *answer)
            return
        await self._app(scope, answer, _with_headers(send))

    async def _refusal(self, scope: dict, receive: Callable) -> Any:
        """Why a request is refused, status and reason; otherwise where its body comes from."""
        path: str = scope["path"]
        if any(part in path for part in UNUSED):
            return 404, "there is no such page"
        if FILE in path and not self._is_served(path.partition(FILE)[2]):
            return 404, "there is no such file"
        if scope["method"] != "POST" or path.endswith("/login"):
            return receive
        if path.rstrip("/").endswith(UPLOAD):
            return self._upload(scope, receive)
        body = await _body(receive)
        if body is None:
            return 413, f"the request is larger than {MAX_BODY_BYTES} bytes"
        if not _is_sensible(body):
            return 400, "the request is not JSON of the page"
        return _again(body, receive)

    def _is_served(self, path: str) -> bool:
        """Whether a path leads into the folder of uploads and results; Gradio's own refusal would repeat it."""
        try:
            return os.path.realpath(path).startswith(f"{self._files.folder}{os.sep}")
        except ValueError:  # a null character
            return False

    def _upload(self, scope: dict, receive: Callable) -> Any:
        most = int(self._settings.max_upload_mb * MB)
        stated = dict(scope["headers"]).get(b"content-length", b"")
        if not stated.isdigit():
            return 411, "an upload must state its length"
        if int(stated) > most + UPLOAD_MARGIN_BYTES:
            return 413, f"the upload is larger than {self._settings.max_upload_mb:g} MB"
        if self._files.size_bytes() + int(stated) > self._settings.max_stored_mb * MB:
            return 507, "the server has no room for more files; try again later"
        return receive


async def _body(receive: Callable) -> bytes | None:
    """The body of a request; None if it is too large."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(parts)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY_BYTES:
            return None
        if not message.get("more_body"):
            return b"".join(parts)


class _Body:
    """Gives the body of a request, and remembers whether that was all of it."""

    def __init__(self, receive: Callable):
        self._receive, self.is_read = receive, False

    async def __call__(self) -> dict:
        message = await self._receive()
        self.is_read = self.is_read or message["type"] != "http.request" or not message.get("more_body")
        return message


async def _drain(body: _Body) -> None:
    """Reads what is left of a body, unless it is long: clients that still send may not see the answer."""
    size = 0
    while not body.is_read and size < MAX_DRAINED_BYTES:
        size += len((await body()).get("body", b""))


def _is_sensible(body: bytes) -> bool:
    """Whether a body is a JSON object that names no file elsewhere."""
    if not body:
        return True
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and not _names_address(value)


def _names_address(value: Any) -> bool:
    """Whether a file in a request is an address, which Gradio would fetch."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            path = one.get("path")
            if isinstance(path, str) and "://" in path:
                return True
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return False


def _again(body: bytes, receive: Callable) -> Callable:
    """Gives a body that was read already; then what else comes."""
    given = False

    async def again() -> dict:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _with_headers(send: Callable) -> Callable:
    async def sending(message: dict) -> None:
        if message["type"] == "http.response.start":
            message = message | {"headers": [*message.get("headers", []), *HEADERS]}
        await send(message)

    return sending


async def _refuse(send: Callable, status: int, reason: str) -> None:
    body = json.dumps({"detail": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
