"""Fifty jobs at once and five hundred page loads: memory and files return to where they were."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from helpers.app_page import TINY, write_face, write_half_second
from helpers.untrained import untrained_pipeline

pytest.importorskip("gradio")
import httpx  # noqa: E402

pytestmark = pytest.mark.slow

NUM_JOBS, NUM_LOADS = 50, 500
KEEP_S = 60
WAIT_S = 1200
MOST_GROWTH = 80 * 1024**2


@pytest.fixture
def server(tmp_path):
    untrained_pipeline(sample_size=16).save_pretrained(tmp_path / "model")
    command = [sys.executable, "-m", "diff2lip_diffusers", "app", "--port", "0", "--device", "cpu", "--dtype", "fp32"]
    command += ["--model", f"{TINY}={tmp_path / 'model'}", "--max-jobs", str(NUM_JOBS), "--keep", str(KEEP_S)]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {"TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**psutil.Process().environ(), **environment}
    )
    line = process.stdout.readline()
    yield process, line.split(": ")[0], temporary
    process.terminate()
    assert process.wait(120) == 130
    assert files_in(temporary) == 0 and not list(temporary.glob("diff2lip-app-*"))


def load_page(url: str, number: int) -> None:
    """What a browser asks for when it opens the page, and that it goes away again."""
    with httpx.Client(base_url=url, timeout=WAIT_S) as http:
        http.get("/").raise_for_status()
        http.get("/config").raise_for_status()
        with http.stream("GET", f"/gradio_api/heartbeat/visitor{number}") as beats:
            next(beats.iter_raw())


def run_job(url: str, name: str, clips: tuple[Path, Path]) -> None:
    with httpx.Client(base_url=url, timeout=WAIT_S) as http:
        config = http.get("/config").json()
        function = next(each for each in config["dependencies"] if each["api_name"] == "lip_sync")
        values = {each["id"]: each["props"].get("value") for each in config["components"]}
        data = [values[each] for each in function["inputs"]]
        for place, clip in enumerate(clips, 1):
            path = http.post("/gradio_api/upload", files={"files": (clip.name, clip.read_bytes())}).json()[0]
            data[place] = {"path": path, "meta": {"_type": "gradio.FileData"}}
        data[0] = True
        body = {"data": data, "fn_index": function["id"], "session_hash": name}
        http.post("/gradio_api/queue/join", json=body).raise_for_status()
        with http.stream("GET", "/gradio_api/queue/data", params={"session_hash": name}) as lines:
            messages = list(lines.iter_lines())
        assert any("Done." in message for message in messages), messages[-4:]


def files_in(folder: Path) -> int:
    """The page's files; libraries may keep some of their own beside them."""
    return sum(path.is_file() for path in folder.glob("diff2lip-app-*/**/*"))


def wait_for_no_files(folder: Path) -> None:
    end_s = time.monotonic() + WAIT_S
    while files_in(folder):
        assert time.monotonic() < end_s, [*folder.rglob("*")]
        time.sleep(1)


def visit(url: str, temporary: Path, name: str, clips: tuple[Path, Path]) -> None:
    """All jobs and page loads, until their files are gone."""
    with ThreadPoolExecutor(NUM_JOBS) as pool:
        list(pool.map(lambda number: run_job(url, f"{name}{number}", clips), range(NUM_JOBS)))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: load_page(url, number), range(NUM_LOADS)))
    wait_for_no_files(temporary)


def test_memory_and_files_return(server, tmp_path):
    process, url, temporary = server
    clips = write_face(tmp_path / "face.mp4", 3), write_half_second(tmp_path / "speech.wav")
    measured = psutil.Process(process.pid)
    for number in range(3):
        run_job(url, f"warm{number}", clips)
        load_page(url, number)
    wait_for_no_files(temporary)
    resident = [measured.memory_info().rss]
    for name in ("first", "second"):
        visit(url, temporary, name, clips)
        resident.append(measured.memory_info().rss)
    shown = ", ".join(f"{size / 1e6:.0f} MB" for size in resident)
    print(f"resident memory before, after one round, after two: {shown}")
    assert measured.num_threads() < 100
    assert resident[2] - resident[1] < MOST_GROWTH, shown
    assert resident[1] - resident[0] < MOST_GROWTH, shown
