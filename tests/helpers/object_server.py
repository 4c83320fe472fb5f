"""A real S3 server on loopback, moto's, which can fail on purpose: answers 500, is slow, or cuts connections."""

import random
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

moto = pytest.importorskip("moto.server")
serving = pytest.importorskip("werkzeug.serving")
boto3 = pytest.importorskip("boto3")

BUCKET = "media"
KEY, SECRET = "AKIATESTINGTESTING00", "not-a-secret-but-never-to-be-shown"
FORBIDDEN = "forbidden"
ERROR = '<?xml version="1.0"?><Error><Code>{}</Code><Message>{} {}</Message><RequestId>1</RequestId></Error>'


@dataclass
class Faults:
    """How often requests fail.

    Args:
        failing: share that is answered by 500 or 503.
        cut: share whose connection is closed, before the answer or in the middle of it.
        slow: share that waits for `slow_s` first.
        slow_s: seconds.
        seed: decides which requests they are.
    """

    failing: float = 0.0
    cut: float = 0.0
    slow: float = 0.0
    slow_s: float = 0.2
    seed: int = 0


class ObjectServer:
    """The server.

    Attributes:
        url: its address.
        faults: what goes wrong from now on.
        log: method, path and state of each request so far.
    """

    def __init__(self):
        self.faults, self.log = Faults(), list[tuple[str, str, str]]()
        self._chance, self._lock = random.Random(0), threading.Lock()
        self._moto = moto.DomainDispatcherApplication(moto.create_backend_app)
        self._server = serving.make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=_Quiet)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def fail(self, faults: Faults) -> None:
        """Fails so from now on."""
        self.faults, self._chance = faults, random.Random(faults.seed)

    def close(self) -> None:
        self._server.shutdown()

    def count(self, method: str, part: str) -> int:
        """How many requests of a method had a path with that part, and succeeded."""
        return sum(one == method and part in path and state < "3" for one, path, state in self.log)

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]

        def start(state: str, headers: list, *more: Any) -> Any:
            self.log.append((method, path, state))
            return start_response(state, headers, *more)

        if KEY not in environ.get("HTTP_AUTHORIZATION", ""):
            return _refuse(start, "403 Forbidden", "InvalidAccessKeyId", environ)
        if f"/{FORBIDDEN}/" in path:
            return _refuse(start, "403 Forbidden", "AccessDenied", environ)
        with self._lock:
            failing, cut, slow, late = (self._chance.random() for _ in range(4))
        if slow < self.faults.slow:
            time.sleep(self.faults.slow_s)
        if failing < self.faults.failing:
            code = ("500 Server Error", "InternalError") if failing % 0.02 < 0.01 else ("503 Slow Down", "SlowDown")
            return _refuse(start, *code, environ)
        if cut < self.faults.cut and late < 0.5:
            self.log.append((method, path, "cut"))
            start_response("200 OK", [("Content-Length", "9")])
            return _cut(environ, [])
        answer = self._moto(environ, start)
        return _cut(environ, answer) if cut < self.faults.cut else answer


class _Quiet(serving.WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, *_: Any) -> None:
        pass

    def log_error(self, *_: Any) -> None:
        pass


def _refuse(start: Any, state: str, code: str, environ: dict[str, Any]) -> list[bytes]:
    """An error as S3 words it. The text holds what clients must not show."""
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    body = b"" if environ["REQUEST_METHOD"] == "HEAD" else ERROR.format(code, SECRET, environ["PATH_INFO"]).encode()
    start(state, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [body]


def _cut(environ: dict[str, Any], answer: Iterable[bytes]) -> Iterator[bytes]:
    """Half of an answer; then the connection is gone."""
    body = b"".join(answer)
    yield body[: len(body) // 2]
    try:
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


@contextmanager
def running_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectServer]:
    """A server with an empty bucket; the environment leads S3 clients to it."""
    server = ObjectServer()
    for name, value in environment_for(server).items():
        monkeypatch.setenv(name, value)
    try:
        make_bucket(server)
        yield server
    finally:
        server.close()


def environment_for(server: ObjectServer) -> dict[str, str]:
    """What leads S3 clients to a server."""
    known = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1"}
    return {**known, "AWS_ENDPOINT_URL": server.url}


def make_bucket(server: ObjectServer) -> None:
    """Makes the bucket; empties that of an earlier server, as those of one process share their objects."""
    client = client_of(server)
    client.create_bucket(Bucket=BUCKET)
    for key in objects_in(server):
        client.delete_object(Bucket=BUCKET, Key=key)
    server.log.clear()


def client_of(server: ObjectServer) -> Any:
    """A client of the server that is not fsspec."""
    keys = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
    return boto3.client("s3", endpoint_url=server.url, **keys)


def objects_in(server: ObjectServer, prefix: str = "") -> dict[str, bytes]:
    """The content of all objects below a prefix, by key."""
    client = client_of(server)
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    return {key: client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}
