"""The page over HTTP: jobs, other people's files, the server's files, and requests that no browser sends."""

import itertools
import json
import random
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers.app_page import TINY, tiny_settings, write_face, write_half_second

pytest.importorskip("gradio")
import gradio_client  # noqa: E402
import httpx  # noqa: E402

from diff2lip_diffusers.app.lip_sync_tab import LipSyncTab  # noqa: E402, F401  (fails early without Gradio)
from diff2lip_diffusers.app.option_inputs import option_input, shown_options  # noqa: E402
from diff2lip_diffusers.app.server import Address, serving  # noqa: E402

WAIT_S = 240
SERVER_FILES = ("/etc/passwd", __file__)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    settings = tiny_settings(folder, max_upload_mb=0.5, max_jobs=8, max_jobs_per_person=2)
    with serving(settings, Address(port=0), folder) as served:
        yield served


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("clips")
    return write_face(folder / "face.mp4", 3), write_half_second(folder / "speech.wav")


def arguments(video, speech, consent=True, **more) -> list:
    """What the page sends when its button is pressed."""
    options = {name: option_input(name, option).value for name, option in shown_options().items()}
    options |= {"num_inference_steps": "1"} | more
    files = [video and {"path": video, "meta": {"_type": "gradio.FileData"}} for video in (video, speech)]
    return [consent, *files, "", "English (US), woman", "the largest", TINY, "dpmsolver++", False, *options.values()]


class Person:
    """A page in a browser, as far as HTTP goes."""

    def __init__(self, served, name: str):
        self.http = httpx.Client(base_url=served.url, timeout=WAIT_S)
        self.session = name
        config = self.http.get("/config").json()
        self.functions = {each["api_name"]: each["id"] for each in config["dependencies"]}

    def upload(self, path: Path, name: str | None = None) -> httpx.Response:
        return self.http.post("/gradio_api/upload", files={"files": (name or path.name, path.read_bytes())})

    def press(self, function: str, data: list) -> list:
        """All messages up to the end of an event."""
        body = {"data": data, "fn_index": self.functions[function], "session_hash": self.session}
        joined = self.http.post("/gradio_api/queue/join", json=body)
        assert joined.status_code == 200, joined.text
        messages = []
        with self.http.stream("GET", "/gradio_api/queue/data", params={"session_hash": self.session}) as lines:
            for line in lines.iter_lines():
                if line.startswith("data:"):
                    messages.append(json.loads(line[5:]))
                    if messages[-1]["msg"] in ("process_completed", "close_stream"):
                        break
        return messages

    def last_status(self, messages: list) -> str:
        return str([each.get("output", {}).get("data") for each in messages])


def lip_sync(served, name: str, clips) -> dict:
    """One person's job from upload to result; returns Gradio's last data."""
    person = Person(served, name)
    video, speech = (person.upload(clip).json()[0] for clip in clips)
    messages = person.press("lip_sync", arguments(video, speech))
    assert messages[-1]["success"], messages[-1]
    return {"text": person.last_status(messages), "data": messages}


def everything_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_two_people_at_once_get_their_own_results(served, clips):
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda name: lip_sync(served, name, clips), ("one", "two")))
    results = [re.findall(r"/jobs/(\w+)/", each["text"])[0] for each in both]
    assert len(set(results)) == 2
    url = f"{served.url}gradio_api/file={served.desk.files.folder}/jobs/{results[0]}/lip-sync.mp4"
    video = httpx.get(url)
    assert video.status_code == 200 and b"ftyp" in video.content[:16]
    assert served.desk.line.jobs() == []
    for guess in ("", results[0][:-1], "../", results[0]):  # no lists of files
        answer = httpx.get(f"{served.url}gradio_api/file={served.desk.files.folder}/jobs/{guess}")
        assert answer.status_code in (403, 404) and results[1] not in answer.text


def test_the_public_client_of_gradio_works(served, clips):
    client = gradio_client.Client(served.url, verbose=False)
    video, speech = ({"video": gradio_client.handle_file(clips[0])}, gradio_client.handle_file(clips[1]))
    given = arguments(None, None)
    given[1:3] = video["video"], speech
    found = client.predict(*given, api_name="/lip_sync")
    assert "Done" in str(found[0]) and "lip-sync.mp4" in str(found)


@pytest.mark.parametrize("path", SERVER_FILES)
def test_files_of_the_server_cannot_be_read(served, clips, path):
    person = Person(served, "thief")
    inside = str(served.desk.files.folder)
    ways = [path, f"{inside}/../..{path}", f"{inside}/%2e%2e/%2e%2e{path}", f"..%2f..%2f..{path}", f"/{path}"]
    for way in ways:
        answer = person.http.get(f"/gradio_api/file={way}")
        assert answer.status_code in (400, 403, 404), way
        assert answer.json() == {"detail": "there is no such file"}, way
    speech = person.upload(clips[1]).json()[0]
    for way in ways:
        messages = person.press("lip_sync", arguments(way, speech))
        assert "Traceback" not in str(messages) and "jobs/" not in str(messages)
    assert served.desk.line.jobs() == []


def test_addresses_are_not_fetched(served):
    person = Person(served, "fetcher")
    for address in ("http://127.0.0.1:1/face.mp4", "file:///etc/passwd", "https://example.com/a.mp4"):
        body = {"data": arguments(address, None), "fn_index": person.functions["lip_sync"], "session_hash": "fetcher"}
        assert person.http.post("/gradio_api/queue/join", json=body).status_code == 400


def test_large_uploads_are_refused_and_leave_nothing(served, tmp_path):
    before = everything_in(served.desk.files.folder)
    large = tmp_path / "large.mp4"
    large.write_bytes(bytes(600_000))
    person = Person(served, "large")
    assert person.upload(large).status_code == 413
    huge = tmp_path / "huge.mp4"
    huge.write_bytes(bytes(3_000_000))
    answer = person.upload(huge)
    assert answer.status_code == 413 and "0.5 MB" in answer.text
    endless = person.http.post("/gradio_api/upload", content=iter([b"1" * 1000] * 3))  # states no length
    assert endless.status_code == 411
    assert everything_in(served.desk.files.folder) == before


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>.mp4", "../../../evil.mp4", "..\\evil.mp4", "a\x00b.mp4", "é" * 300, ".bashrc"]
)
def test_markup_and_paths_as_names_stay_in_the_folder(served, clips, name):
    person = Person(served, "named")
    answer = person.upload(clips[0], name)
    if answer.status_code != 200:
        assert answer.status_code in (400, 413, 422) and "Traceback" not in answer.text
        return
    path = Path(answer.json()[0]).resolve()
    assert path.is_relative_to(served.desk.files.folder) and path.is_file()
    assert not set("<>\x00\\") & set(path.name)
    fetched = person.http.get(f"/gradio_api/file={path}")
    assert "text/html" not in fetched.headers["content-type"]


def test_requests_that_no_browser_sends_end_without_a_traceback(served, clips):
    draw = random.Random(16)
    person = Person(served, "fuzzer")
    video, speech = (person.upload(clip).json()[0] for clip in clips)
    right = arguments(video, speech)
    junk = [None, True, -1, 1e308, "", "x" * 5000, [], {}, [[[]]], {"path": 7}, {"path": None}, "\u0000", "<b>"]
    junk += [{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, {"__type__": "update"}, float(2**70)]
    bodies: list[bytes] = [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"data":' * 9_000]
    functions = list(person.functions.values())
    for number in range(192):
        data = list(right)
        for place in draw.sample(range(len(data)), draw.randint(1, 4)):
            data[place] = draw.choice(junk)
        body = {"data": data, "fn_index": draw.choice([*functions, 999, -1, "x", None]), "session_hash": f"f{number}"}
        for key in draw.sample(sorted(body), draw.choice([0, 0, 0, 1])):
            body[key] = draw.choice(junk)
        bodies.append(json.dumps(body).encode())
    assert len(bodies) == 200
    for body, where in zip(bodies, itertools.cycle(["queue/join", "queue/join", "run/lip_sync", "call/lip_sync"])):
        answer = person.http.post(f"/gradio_api/{where}", content=body, headers={"content-type": "application/json"})
        assert "Traceback" not in answer.text and 'File "' not in answer.text, body[:300]
        if answer.status_code != 200:  # others may give a person the address of a file of theirs
            assert str(served.desk.files.folder) not in answer.text, body[:300]
    assert person.http.post("/gradio_api/queue/join", content=bytes(300_000)).status_code == 413
    end_s = time.monotonic() + WAIT_S
    while served.desk.line.jobs():
        assert time.monotonic() < end_s, "stuck"
        time.sleep(0.05)
    assert "Done" in lip_sync(served, "after", clips)["text"]


def test_every_answer_forbids_other_servers(served):
    for path in ("", "config", "gradio_api/info"):
        headers = httpx.get(f"{served.url}{path}").headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    for path in ("monitoring", "gradio_api/component_server", "gradio_api/proxy=http://127.0.0.1:1/"):
        assert httpx.get(f"{served.url}{path}").status_code == 404


def test_a_canceled_job_ends_and_leaves_nothing(served, clips):
    person = Person(served, "canceler")
    video, speech = (person.upload(clip).json()[0] for clip in clips)
    folders = set((served.desk.files.folder / "jobs").iterdir())
    with ThreadPoolExecutor(1) as pool:
        pressed = pool.submit(person.press, "lip_sync", arguments(video, speech, num_inference_steps="500"))
        while not served.desk.line.jobs():
            assert not pressed.done(), pressed.result()
            time.sleep(0.01)
        other = httpx.Client(base_url=served.url, timeout=WAIT_S)
        body = {"data": [], "session_hash": "canceler", "fn_index": person.functions["cancel"]}
        assert other.post("/gradio_api/run/cancel", json=body).status_code == 200
        assert "Canceled." in person.last_status(pressed.result())
    assert set((served.desk.files.folder / "jobs").iterdir()) == folders
