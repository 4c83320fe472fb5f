"""The live page as a client sees it that is no browser: aiortc over loopback."""

import asyncio
import logging
import random
import socket

import numpy as np
import pytest

pytest.importorskip("aiortc")
import aiohttp  # noqa: E402
import psutil  # noqa: E402
from helpers.live_faces import gray_of, words  # noqa: E402
from helpers.live_page import SOUND_HZ, Client, Microphone, addresses_in, loudness_page  # noqa: E402

from diff2lip_diffusers import Diff2LipError  # noqa: E402
from diff2lip_diffusers.live.page import server  # noqa: E402
from diff2lip_diffusers.live.page.settings import PageAddress, PageSettings  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def page():
    with loudness_page(sessions=2, max_text=40) as served:
        yield served


def at_page(url: str, visit) -> None:
    """Runs `visit(client)` and leaves the page."""

    async def run():
        async with aiohttp.ClientSession(url) as http:
            client = Client(http)
            try:
                await visit(client)
            finally:
                if client.key is not None:
                    await client.ask(f"/sessions/{client.key}/end", {})
                    await client.leave()

    asyncio.run(asyncio.wait_for(run(), 120))


def microphone_of(seconds: float) -> Microphone:
    return Microphone((words(seconds, SOUND_HZ) * 32767).astype(np.int16))


def mouth_of(client: Client, box) -> tuple[np.ndarray, np.ndarray]:
    """Times of the pictures, and the gray in the middle of the mouth."""
    x, y = int((box.x1 + box.x2) / 2), int(box.y1 + 0.75 * box.height)
    grays = [picture[y - 3 : y + 3, x - 3 : x + 3].mean() / 255 for _, picture in client.pictures]
    return np.array([time_s for time_s, _ in client.pictures]), np.array(grays)


def test_the_mouth_follows_the_microphone_and_its_sound_comes_with_it(page):
    url, engine, clip = page

    async def visit(client: Client):
        assert await client.connect(microphone_of(3.0)) == 200
        assert addresses_in(client.answer) == {"127.0.0.1"}
        await client.wait_for(lambda: len(client.pictures) > 75)
        status, report = await client.ask(f"/sessions/{client.key}")
        assert status == 200 and report["num_frames"] >= 75
        if report["num_late"] + report["num_skipped"] > 15:
            pytest.skip("this machine is too busy to keep 25 frames/s")
        assert 0.1 < report["delay_s"] < 1.5
        sound = np.concatenate([samples for _, samples in client.sounds])
        first_s = client.sounds[0][0]
        times_s, seen = mouth_of(client, clip.at(0).box)
        extractor = engine.pipe.feature_extractor
        windows = extractor(sound.astype(np.float32) / 32768, SOUND_HZ, 25).mel_windows
        heard = gray_of(windows).numpy()
        places = np.round((times_s - first_s) * 25).astype(int)
        is_inside = (places >= 20) & (places < len(heard) - 12)
        lags = [np.corrcoef(seen[is_inside], heard[places[is_inside] + lag])[0, 1] for lag in range(-4, 5)]
        # Both tracks count from their own first packet; that of the picture comes a frame or two later.
        assert max(lags) > 0.8 and abs(np.argmax(lags) - 4) <= 3

    at_page(url, visit)


def test_a_text_is_said_and_the_face_can_be_silenced(page):
    pytest.importorskip("espeakng_loader")

    async def visit(client: Client):
        assert await client.connect() == 200
        await client.wait_for(lambda: client.sounds)
        path = f"/sessions/{client.key}"
        status, said = await client.ask(f"{path}/text", {"text": "One two three four.", "voice": "English (UK), man"})
        assert status == 200 and 0.8 < said["duration_s"] < 3
        await client.wait_for(lambda: any(np.abs(samples).max() > 3000 for _, samples in client.sounds))
        assert (await client.ask(f"{path}/interrupt", {}))[0] == 200
        await asyncio.sleep(0.3)
        before = len(client.sounds)
        await client.wait_for(lambda: len(client.sounds) > before + 20)
        assert max(np.abs(samples).max() for _, samples in client.sounds[before + 5 :]) < 30

        async def refusal(text, voice):
            status, answer = await client.ask(f"{path}/text", {"text": text, "voice": voice})
            assert status == 400
            return answer["error"]

        assert await refusal(" \x00 ", "German, man") == "There is no text; type what is to be said."
        assert await refusal("x" * 41, "German, man") == "The text has 41 characters, more than the limit of 40."
        assert await refusal("Hello", "<b>") == "There is no voice '<b>'; choose one of the list."

    at_page(page[0], visit)


def test_a_lost_connection_comes_back_to_its_session_and_one_more_is_refused(page):
    url, engine, _ = page

    async def visit(client: Client):
        assert await client.connect() == 200
        key = client.key
        await client.wait_for(lambda: client.pictures)
        await client.leave()
        client.pictures.clear()
        assert await client.connect() == 200 and client.key == key
        await client.wait_for(lambda: client.pictures)
        second, third = Client(client.http), Client(client.http)
        assert await second.connect() == 200 and second.key != key and len(second.key) >= 32
        assert len(engine.sessions) == 2
        offer = client.peer.localDescription.sdp
        status, refused = await third.ask("/sessions", {"offer": offer})
        assert (status, refused["error"]) == (
            503,
            "All places are taken: this machine carries 2 people at a time. Try again in a minute.",
        )
        assert (await second.ask(f"/sessions/{second.key}/end", {}))[0] == 200
        await second.leave()
        assert (await second.ask(f"/sessions/{second.key}"))[0] == 410
        assert await third.connect() == 200
        await third.ask(f"/sessions/{third.key}/end", {})
        await third.leave()

    at_page(url, visit)


@pytest.mark.parametrize(
    ("limits", "leaves", "reason"),
    [
        ({"idle_s": 1}, False, "The session ended: nobody spoke for 1 seconds."),
        ({"lost_s": 2}, True, "The session ended: its connection was lost for 2 seconds."),
    ],
)
def test_idle_and_lost_sessions_end_and_say_why(limits, leaves, reason):
    async def visit(client: Client):
        assert await client.connect() == 200
        if leaves:
            await client.wait_for(lambda: client.pictures)
            await client.leave()
        for _ in range(200):
            status, answer = await client.ask(f"/sessions/{client.key}")
            if status != 200:
                break
            await asyncio.sleep(0.05)
        assert (status, answer) == (410, {"error": reason})

    with loudness_page(sessions=1, **limits) as (url, engine, _):
        at_page(url, visit)
        assert not engine.sessions


def test_requests_of_strangers_get_one_line_and_leave_nothing(page, caplog):
    url, engine, _ = page
    seeded, process = random.Random(5), psutil.Process()
    offer = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n"
    bodies = [b"", b"{", b"[]", b"null", b'{"offer": 3}', b"[" * 5000, bytes(range(256)), b'{"text": "\\ud800"}']
    bodies += [f'{{"offer": "{text}"}}'.encode() for text in ("", "v=0", offer.replace("\r\n", "\\r\\n"))]
    paths = [
        "/sessions",
        "/sessions/x",
        "/sessions/x/connection",
        "/sessions/x/text",
        "/settings",
        "/../../etc/passwd",
    ]
    paths += ["/page.js/../server.py", "/%2e%2e/server.py", "/files/index.html", "//", "/sessions/%00/end"]

    async def visit(client: Client):
        async def one(number):
            method = seeded.choice(["GET", "POST", "PUT", "DELETE", "OPTIONS"])
            kind = seeded.choice(["application/json", "text/plain", "multipart/form-data", ""])
            body = seeded.choice(bodies) if method in ("POST", "PUT") else None
            async with client.http.request(
                method, seeded.choice(paths), data=body, headers={"Content-Type": kind}
            ) as answer:
                text = await answer.text()
                assert answer.status < 500 and "Traceback" not in text and "Error" not in text
                assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
                if answer.status != 200:
                    assert len((await answer.json())["error"]) < 120

        for number in range(20):
            await one(number)
        before = process.memory_info().rss, process.num_threads()
        for number in range(200):
            await one(number)
        assert process.memory_info().rss - before[0] < 20e6 and process.num_threads() <= before[1] + 4
        status, answer = await client.ask("/sessions", {"offer": "x" * 100_000})
        assert (status, answer["error"]) == (413, "The request is too large.")
        for headers, error in [
            ({"Host": "evil.example"}, "This page is served to this machine only."),
            ({"Origin": "http://evil.example"}, "Another page sent this request."),
        ]:
            status, answer = await client.ask("/sessions", {"offer": offer}, headers=headers)
            assert (status, answer["error"]) == (403, error)

    with caplog.at_level(logging.WARNING):
        at_page(url, visit)
    assert not engine.sessions
    assert not [record for record in caplog.records if record.exc_info]


def test_packets_that_are_no_packets_do_not_end_a_session(page, caplog):
    url, engine, _ = page
    host, port = url.removeprefix("http://").split(":")

    async def visit(client: Client):
        assert await client.connect() == 200
        await client.wait_for(lambda: client.pictures)
        media_ports = {int(line.split()[5]) for line in client.answer.splitlines() if line.startswith("a=candidate")}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            for number in range(300):
                data = random.Random(number).randbytes(number % 200 + 1)
                for media_port in media_ports:
                    udp.sendto(data, ("127.0.0.1", media_port))
        for raw in (
            b"\x00" * 500,
            b"GET / HTTP/9.9\r\n\r\n",
            b"POST /sessions HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        ):
            with socket.create_connection((host, int(port))) as tcp:
                tcp.sendall(raw)
                tcp.settimeout(5)
                assert b"Traceback" not in await asyncio.to_thread(tcp.recv, 4000)
        count = len(client.pictures)
        await client.wait_for(lambda: len(client.pictures) > count + 10)

    with caplog.at_level(logging.WARNING):
        at_page(url, visit)
    assert not [record for record in caplog.records if record.exc_info and record.name.startswith("diff2lip")]


def test_a_client_that_never_reads_or_connects_loses_its_place(page):
    async def visit(client: Client):
        assert await client.connect() == 200
        offer = client.peer.localDescription.sdp
        for _ in range(5):  # each takes the place of the one before
            assert (await client.ask(f"/sessions/{client.key}/connection", {"offer": offer}))[0] == 200
        status, answer = await client.ask(f"/sessions/{client.key}/connection", {"offer": offer.replace("opus", "x")})
        assert (status, answer["error"]) == (400, "The offer of the browser cannot be used.")

    at_page(page[0], visit)


def test_what_the_page_cannot_start_with_is_said_in_one_line(page, tmp_path, monkeypatch):
    _, engine, _ = page
    with pytest.raises(ValueError, match="`idle_s` is 0, expected a number above 0"):
        PageSettings(idle_s=0)
    taken = int(page[0].rpartition(":")[2])
    with pytest.raises(Diff2LipError, match=f"127.0.0.1:{taken}: cannot be used"):
        with server.serving_live(engine, PageSettings(), PageAddress(port=taken)):
            pass
    (tmp_path / "certificate.pem").write_text("nothing")
    address = PageAddress(port=0, certificate=tmp_path / "certificate.pem")
    with pytest.raises(Diff2LipError, match="certificate.pem: is not a certificate with its key"):
        with server.serving_live(engine, PageSettings(), address):
            pass
    monkeypatch.setattr(server, "NEEDED", ("aiohttp", "no_such_package"))
    with pytest.raises(Diff2LipError, match=r"the page needs no_such_package: pip install .*\[live\]"):
        server.check_aiortc()
