"""The page in a real browser with a false camera and microphone. Set SCREENSHOTS to a folder to look at it.

Needs playwright (pip install playwright) and a Chromium, for example Debian's.
"""

import os
import shutil
from pathlib import Path

import pytest
from helpers.app_page import tiny_settings, write_camera, write_face, write_half_second
from helpers.face_videos import WOMAN, on_background, other_person, write_video

pytest.importorskip("gradio")
sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]

from diff2lip_diffusers.app.server import Address, serving  # noqa: E402

WAIT_MS = 240_000
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
FLAGS = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    write_face(folder / "face.mp4", 8)
    write_half_second(folder / "speech.wav")
    (folder / "broken.mp4").write_bytes(bytes(range(256)) * 100)
    write_video(folder / "long.mp4", [WOMAN[:64, :64]] * 150)
    (folder / "huge.mp4").write_bytes(bytes(1_200_000))
    people = on_background([(WOMAN, 20, 80), (other_person(), 350, 80)])
    write_video(folder / "two.mp4", [people] * 4)
    return folder


@pytest.fixture(scope="module")
def served(folder):
    settings = tiny_settings(folder, max_upload_mb=1, max_duration=5)
    with serving(settings, Address(port=0), folder) as served:
        yield served


@pytest.fixture(scope="module")
def browser(folder):
    camera = f"--use-file-for-fake-video-capture={write_camera(folder / 'camera.y4m')}"
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, camera])
        yield browser
        browser.close()


class Visitor:
    """One person with one page."""

    def __init__(self, browser, served, viewport=DESKTOP, **context):
        self.context = browser.new_context(permissions=["camera", "microphone"], viewport=viewport, **context)
        self.page = self.context.new_page()
        self.page.set_default_timeout(WAIT_MS)
        self.asked_elsewhere: list[str] = []
        self.page.on("request", lambda request: self._note(request.url, served.url))
        self.page.goto(served.url)
        self.page.wait_for_selector("#start")

    def _note(self, url: str, own: str) -> None:
        if not url.startswith((own, "data:", "blob:")):
            self.asked_elsewhere.append(url)

    def agree(self) -> None:
        self.page.locator("#consent input").check()

    def give(self, video: Path, speech: Path | None = None) -> None:
        self.page.locator("#face input[type=file]").set_input_files(video)
        if speech is not None:
            self.page.locator("#speech input[type=file]").set_input_files(speech)
            self.page.wait_for_selector("#speech button[aria-label='Play']")

    def start(self) -> None:
        self.page.locator("#start").click()

    def wait_for_status(self, text: str) -> str:
        script = f"document.querySelector('#status')?.innerText.includes({text!r})"
        self.page.wait_for_function(script, timeout=WAIT_MS)
        return self.page.locator("#status").inner_text()

    def wait_for_result(self) -> None:
        self.wait_for_status("Done")
        self.page.wait_for_function("document.querySelector('#result video')?.readyState >= 2", timeout=WAIT_MS)

    def play(self) -> float:
        """Plays the result; returns the time it has reached."""
        video = self.page.locator("#result video")
        video.evaluate("async video => { video.muted = true; await video.play() }")
        self.page.wait_for_function("document.querySelector('#result video').currentTime > 0", timeout=WAIT_MS)
        return video.evaluate("video => video.currentTime")

    def picture(self, name: str) -> None:
        if "SCREENSHOTS" in os.environ:
            self.page.screenshot(path=str(Path(os.environ["SCREENSHOTS"]) / f"{name}.png"), full_page=True)

    def leave(self) -> None:
        assert self.asked_elsewhere == []
        self.context.close()


@pytest.fixture
def visitor(browser, served):
    visitor = Visitor(browser, served)
    yield visitor
    visitor.leave()


def test_an_upload_gives_a_result_that_plays(visitor, folder):
    visitor.start()
    visitor.wait_for_status("agreed")
    visitor.agree()
    visitor.give(folder / "face.mp4", folder / "speech.wav")
    visitor.page.wait_for_selector("#first-frame img")
    visitor.start()
    visitor.page.wait_for_selector("#status progress")
    visitor.picture("progress")
    visitor.wait_for_result()
    assert visitor.play() > 0
    visitor.picture("result")
    assert "8" in visitor.page.locator("#numbers").inner_text()
    with visitor.page.expect_download() as download:
        visitor.page.locator("#result [aria-label*='ownload'], #result a[download]").first.click()
    assert download.value.path().read_bytes()[4:8] == b"ftyp"


def test_a_text_becomes_a_result_and_the_chosen_face_speaks(visitor, folder):
    visitor.agree()
    visitor.give(folder / "two.mp4")
    image = visitor.page.locator("#first-frame img")
    image.wait_for()
    place = image.bounding_box()
    image.click(position={"x": place["width"] * 0.75, "y": place["height"] * 0.6})
    visitor.page.wait_for_function("document.querySelectorAll('#which-face input')[2].checked")
    visitor.page.locator("#text textarea").fill("Hello <b>you</b>!")
    visitor.picture("two_faces")
    visitor.start()
    visitor.wait_for_result()
    visitor.picture("text")


def test_canceling(visitor, folder):
    visitor.agree()
    visitor.give(folder / "face.mp4", folder / "speech.wav")
    visitor.page.locator("#options button").first.click()
    visitor.page.locator("#option-num_inference_steps").locator("input, textarea").first.fill("900")
    visitor.start()
    visitor.page.wait_for_selector("#status progress")
    visitor.page.locator("#cancel").click()
    visitor.wait_for_status("Canceled.")
    visitor.picture("canceled")


@pytest.mark.parametrize(
    ("name", "reason"), [("broken", "broken.mp4: is not a video"), ("long", "more than the limit of 5 s")]
)
def test_files_that_cannot_be_used(visitor, folder, name, reason):
    visitor.give(folder / f"{name}.mp4")
    visitor.wait_for_status(reason)
    visitor.picture(name)


def test_a_file_over_the_limit(visitor, folder):
    assert "Files up to 1 MB" in visitor.page.locator("#limits").inner_text()
    visitor.give(folder / "huge.mp4")
    visitor.page.wait_for_selector("#face span.error")
    visitor.picture("huge")


def test_two_people_at_once(browser, served, folder):
    people = [Visitor(browser, served) for _ in range(2)]
    for person in people:
        person.agree()
        person.give(folder / "face.mp4", folder / "speech.wav")
    for person in people:
        person.start()
    people[1].page.wait_for_selector("#status p")
    people[1].picture("two_people")
    for person in people:
        person.wait_for_result()
    addresses = {person.page.locator("#result video").get_attribute("src") for person in people}
    assert len(addresses) == 2
    for person in people:
        person.leave()


def test_phone_width(browser, served, folder):
    for width in (PHONE["width"], 320):
        person = Visitor(browser, served, {**PHONE, "width": width}, has_touch=True, is_mobile=True)
        assert person.page.evaluate("document.documentElement.scrollWidth") <= width
        person.picture(f"phone_{width}")
        if width == PHONE["width"]:
            person.agree()
            person.give(folder / "face.mp4", folder / "speech.wav")
            person.start()
            person.wait_for_result()
            person.picture("phone_result")
            assert person.page.evaluate("document.documentElement.scrollWidth") <= width
        person.leave()


def test_by_keyboard_and_consent_is_remembered(visitor, folder):
    reached = []
    visitor.page.locator("body").press("Tab")
    for _ in range(30):
        reached.append(visitor.page.evaluate("document.activeElement.closest('[id]')?.id || ''"))
        if reached[-1] == "consent":
            visitor.page.keyboard.press("Space")
        if reached[-1] == "start":
            break
        visitor.page.keyboard.press("Tab")
    wanted = ["consent", "drawn-face", "shipped-speech", "start"]
    assert [each for each in dict.fromkeys(reached) if each in wanted] == wanted
    visitor.page.keyboard.press("Enter")
    visitor.wait_for_status("There is no video")
    visitor.picture("keyboard")
    visitor.page.reload()
    visitor.page.wait_for_function("document.querySelector('#consent input')?.checked")


def test_camera_and_microphone(visitor):
    visitor.agree()
    face, speech = visitor.page.locator("#face"), visitor.page.locator("#speech")
    face.locator("[aria-label='Capture from camera']").click()
    face.get_by_text("Click to Access Webcam").click()
    face.locator("[aria-label='start recording']").click()
    visitor.page.wait_for_timeout(1500)
    visitor.picture("camera")
    face.locator("button.capture-button").click()
    visitor.page.wait_for_selector("#first-frame img")
    speech.locator("[aria-label='Record audio']").click()
    speech.locator("button.record").click()
    visitor.page.wait_for_timeout(1200)
    speech.locator("button.stop-button").click()
    visitor.page.wait_for_selector("#speech button[aria-label='Play']")
    visitor.start()
    visitor.wait_for_result()
    assert visitor.play() > 0
    visitor.picture("camera_result")
