"""What the page asks for: its files, and what it does with a session. Answers are JSON; an error is one line."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from ...corpus.reading_voices import VOICES, read_aloud
from ...errors import Diff2LipError
from .conversations import Conversations

FILES = Path(__file__).parent / "files"
PAGE_FILES = {"/": "index.html", "/page.js": "page.js", "/page.css": "page.css"}
MAX_BODY_BYTES = 64 * 1024
# Texts that are read aloud at the same time.
MAX_READERS = 2


class Routes:
    """Handlers of the page.

    Args:
        conversations: of all people.
    """

    def __init__(self, conversations: Conversations):
        self._conversations = conversations
        self._readers = asyncio.Semaphore(MAX_READERS)

    def add_to(self, app: web.Application) -> None:
        """Adds all."""
        for path, name in PAGE_FILES.items():
            app.router.add_get(path, _file(FILES / name))
        app.router.add_get("/settings", self._settings)
        app.router.add_post("/sessions", self._open)
        app.router.add_get("/sessions/{key}", self._report)
        app.router.add_post("/sessions/{key}/connection", self._connect)
        app.router.add_post("/sessions/{key}/text", self._say)
        app.router.add_post("/sessions/{key}/interrupt", self._interrupt)
        app.router.add_post("/sessions/{key}/end", self._end)

    async def _settings(self, _request: web.Request) -> web.Response:
        settings, engine = self._conversations.settings, self._conversations.engine
        source = engine.source
        assert source is not None
        return web.json_response(
            {
                "voices": list(VOICES),
                "max_text": settings.max_text,
                "idle_s": settings.idle_s,
                "fps": float(engine.fps),
                "width": source.width,
                "height": source.height,
            }
        )

    async def _open(self, request: web.Request) -> web.Response:
        offer = _text_of(await _body(request), "offer")
        conversation, answer = await self._conversations.open(offer)
        return web.json_response({"key": conversation.key, "answer": answer})

    async def _connect(self, request: web.Request) -> web.Response:
        conversation = self._conversations.find(request.match_info["key"])
        return web.json_response({"answer": await conversation.connect(_text_of(await _body(request), "offer"))})

    async def _report(self, request: web.Request) -> web.Response:
        return web.json_response(self._conversations.find(request.match_info["key"]).report())

    async def _say(self, request: web.Request) -> web.Response:
        key, body = request.match_info["key"], await _body(request)
        self._conversations.find(key)
        text, voice = _text_of(body, "text"), _text_of(body, "voice")
        async with self._readers:
            limit = self._conversations.settings.max_text
            reading = asyncio.get_running_loop().run_in_executor(None, read_aloud, text, voice, limit)
            utterance = await reading
        self._conversations.find(key).say(utterance)
        return web.json_response({"duration_s": utterance.duration_s})

    async def _interrupt(self, request: web.Request) -> web.Response:
        self._conversations.find(request.match_info["key"]).interrupt()
        return web.json_response({})

    async def _end(self, request: web.Request) -> web.Response:
        await self._conversations.end(request.match_info["key"])
        return web.json_response({})


def _file(path: Path):
    async def serve(_request: web.Request) -> web.FileResponse:
        return web.FileResponse(path)

    return serve


async def _body(request: web.Request) -> Mapping[str, Any]:
    """The JSON object in a request.

    Raises:
        Diff2LipError: if there is none.
    """
    if request.content_type != "application/json":
        raise Diff2LipError("The request is not JSON of this page.")
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise Diff2LipError("The request is not JSON of this page.") from error
    if not isinstance(body, dict):
        raise Diff2LipError("The request is not a JSON object.")
    return body


def _text_of(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise Diff2LipError(f"The request has no text `{name}`.")
    return value
