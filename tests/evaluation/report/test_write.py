"""The report of an evaluation: what is in the folder, and that names are shown, not run."""

import csv
import html.parser
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from helpers.judged_clips import write_judged_clips

from diff2lip_diffusers.evaluation.clips import Clip, Unmatched
from diff2lip_diffusers.evaluation.report.clip_writer import audio_track, write_clip
from diff2lip_diffusers.evaluation.report.write import write_report
from diff2lip_diffusers.evaluation.results import build_results
from diff2lip_diffusers.media.reader import probe_video, read_audio, read_rgb

NASTY = """<script>alert("1")</script> & 'x' $\\frac$"""
NASTY_CLIP = """a"><img src=x onerror=alert(1)>/<b>'"""


class Page(html.parser.HTMLParser):
    """The elements of a page, the files they name, and its text."""

    def __init__(self, path: Path):
        super().__init__()
        self.tags, self.files, self.text, self.attributes = set(), [], "", set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.files += [value for name, value in attrs if name in ("src", "href", "poster")]

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    return write_judged_clips(tmp_path_factory.mktemp("clips"), 1)


def report(judged, folder: Path, shown: int = 3) -> Path:
    clip = Clip(
        NASTY_CLIP, {NASTY: judged.sharp / "00.mp4", "b": judged.blurred / "00.mp4"}, judged.reference / "00.mp4"
    )
    bare = Clip("other", {"b": judged.blurred / "00.mp4"})
    curve = {"own_sync_distances": [1.2, 1.1, 0.5, 1.1, 1.3]}
    values = {"own_lse_c": 0.7, "lse_c": 7.5, "psnr": 40.0, "flicker": -0.1}
    records = [
        {
            "name": name,
            "notes": [],
            "systems": {
                system: {"values": values | {"lse_c": 5.0 + len(system)}, "curves": curve, "notes": []}
                for system in systems
            },
        }
        for name, systems in ((NASTY_CLIP, (NASTY, "b")), ("other", ("b",)))
    ]
    problems = [Unmatched("missing", NASTY, "no video of <i>this</i> name"), Unmatched("odd \udcff", "b", "damaged")]
    left_out = {"fid": "reference videos & weights"}
    results = build_results([NASTY, "b"], records, problems, {"b": {"fid": 12.5}}, left_out, {"detector": "mtcnn"})
    return write_report(results, [clip, bare], folder, shown)


@pytest.fixture(scope="module")
def made(judged, tmp_path_factory):
    return report(judged, tmp_path_factory.mktemp("report") / "out")


def test_names_are_shown_and_not_run(made):
    page = Page(made)
    assert "script" not in page.tags and "i" in page.tags  # the one of the p-value
    assert not {name for name in page.attributes if name.startswith("on")}
    assert NASTY in page.text and NASTY_CLIP in page.text and "no video of <i>this</i> name" in page.text


def test_every_file_is_in_the_folder_under_a_plain_name(made):
    files = [name for name in Page(made).files if not name.startswith("#")]
    assert len(files) > 5
    for name in files:
        assert all(sign.isalnum() or sign in "_./" for sign in name) and (made.parent / name).is_file()
    text = made.read_text(encoding="utf-8")
    assert "http:" not in text and "https:" not in text and "url(" not in text


def test_tables(made):
    text = " ".join(Page(made).text.split())
    assert "LSE-C" in text and "OmniSync 2025, table 1" in text and "do not compare" in text
    assert "not adjusted" in text and "reference videos & weights" in text and "12.5" in text


def test_numbers_of_every_clip(made):
    with (made.parent / "clips.csv").open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert [(row["clip"], row["system"]) for row in rows] == [(NASTY_CLIP, NASTY), (NASTY_CLIP, "b"), ("other", "b")]
    assert rows[0]["psnr"] == "40.0"


def test_clip_side_by_side(made, judged):
    path = made.parent / "clips" / "01.mp4"
    info = probe_video(path)
    source = probe_video(judged.reference / "00.mp4")
    assert info.width > 3 * 300 and info.fps == source.fps and info.has_audio
    assert len(list(read_rgb(path))) == len(list(read_rgb(judged.reference / "00.mp4")))
    samples, rate = read_audio(path)
    assert abs(len(samples) / rate - 12 / 25) < 0.05 and abs(samples).max() > 0.1


def test_same_bytes_again_and_nothing_of_an_earlier_report_stays(made, judged, tmp_path):
    folder = tmp_path / "again"
    (folder / "clips").mkdir(parents=True)
    (folder / "clips" / "09.mp4").touch()
    (folder / "notes.txt").touch()
    report(judged, folder)
    (folder / "notes.txt").unlink()
    assert contents(folder) == contents(made.parent)


def test_without_clips_and_matplotlib(judged, tmp_path, monkeypatch):
    monkeypatch.setattr("diff2lip_diffusers.evaluation.report.write.has_matplotlib", lambda: False)
    page = Page(report(judged, tmp_path / "out", shown=0))
    assert "matplotlib" in page.text and "video" not in page.tags


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium")
@pytest.mark.slow
def test_chromium_runs_nothing(made):
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", made.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "<script" not in done.stdout and "onerror=" not in done.stdout.replace("onerror=alert(1)&gt;", "")


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_encoding_in_another_process_gives_the_same_bytes(made, tmp_path):
    source = made.parent / "clips" / "01.mp4"
    script = f"""if True:
        from fractions import Fraction
        from pathlib import Path
        from diff2lip_diffusers.evaluation.report.clip_writer import audio_track, write_clip
        from diff2lip_diffusers.media.reader import read_rgb
        source = Path({str(source)!r})
        write_clip(Path({str(tmp_path)!r}) / "there.mp4", read_rgb(source), Fraction(25), audio_track([source]))
    """
    subprocess.run([sys.executable, "-c", script], check=True)
    write_clip(tmp_path / "here.mp4", read_rgb(source), Fraction(25), audio_track([source]))
    assert (tmp_path / "here.mp4").read_bytes() == (tmp_path / "there.mp4").read_bytes()
