import http.server
import socket
import threading
from contextlib import contextmanager

import pytest

from diff2lip_diffusers.errors import MediaError
from diff2lip_diffusers.stores import public_http
from diff2lip_diffusers.stores.public_http import is_public
from diff2lip_diffusers.stores.remote_files import RemoteFiles
from diff2lip_diffusers.stores.urls import Url

pytest.importorskip("aiohttp")


@contextmanager
def listening(address="127.0.0.1", family=socket.AF_INET):
    """A listener; gives its port, and the connections that it heard."""
    heard = []
    with socket.socket(family) as server:
        server.bind((address, 0))
        server.listen()
        server.settimeout(0.05)
        leaving = threading.Event()

        def listen():
            while not leaving.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                heard.append(connection.recv(1000))
                connection.close()

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield server.getsockname()[1], heard
        finally:
            leaving.set()
            thread.join()


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"]
    + ["255.255.255.255", "::1", "::", "fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "ff02::1"]
    + ["64:ff9b::7f00:1", "2002:7f00:1::", "198.18.0.1", "192.0.2.1"],
)
def test_private_addresses(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "64:ff9b::101:101"])
def test_public_addresses(address):
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]"])
def test_a_private_listener_hears_nothing(tmp_path, host):
    with listening() as (port, heard):
        files = RemoteFiles(tmp_path, allow_remote=True)
        with pytest.raises(MediaError) as caught:
            files.hold([Url(f"http://{host}:{port}/a.mp4?token=secret")])
    assert heard == []
    message = str(caught.value)
    assert message.endswith(("leads to a private address, which inputs from the web must not", "check its host"))
    assert "secret" not in message and "\n" not in message


def test_the_web_is_off_unless_it_is_allowed(tmp_path):
    with listening() as (port, heard):
        with pytest.raises(MediaError, match="is on the web, .* allow that by --allow-remote$"):
            RemoteFiles(tmp_path).hold([Url(f"http://127.0.0.1:{port}/a.mp4")])
        sizes = RemoteFiles(tmp_path).sizes([Url(f"http://127.0.0.1:{port}/a.mp4")])
    assert heard == []
    assert [size for size, _ in sizes.values()] == [0]


def test_a_redirect_to_a_private_address_is_not_followed(tmp_path, monkeypatch):
    """127.0.0.2 stands for a public server, which sends its readers to 127.0.0.1."""
    monkeypatch.setattr(public_http, "is_public", lambda address: address == "127.0.0.2")
    with listening() as (port, heard):

        class Redirect(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(302)
                self.send_header("Location", f"http://127.0.0.1:{port}/a.mp4")
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_HEAD = do_GET

            def log_message(self, *_):
                pass

        server = http.server.HTTPServer(("127.0.0.2", 0), Redirect)
        threading.Thread(target=server.serve_forever).start()
        with pytest.raises(MediaError, match="private address"):
            RemoteFiles(tmp_path, allow_remote=True).hold([Url(f"http://127.0.0.2:{server.server_port}/a.mp4")])
        server.shutdown()
        server.server_close()
    assert heard == []


def test_a_file_from_the_web_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(public_http, "is_public", lambda address: address == "127.0.0.2")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "a.mp4").write_bytes(b"frames")

    class Site(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(tmp_path / "site"))

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.2", 0), Site)
    threading.Thread(target=server.serve_forever).start()
    url = Url(f"http://127.0.0.2:{server.server_port}/a.mp4")
    with RemoteFiles(tmp_path, allow_remote=True).hold([url]) as held:
        assert held.paths[url].read_bytes() == b"frames"
    server.shutdown()
    server.server_close()
