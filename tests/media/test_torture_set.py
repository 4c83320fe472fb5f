"""Every file of the torture set gives the right frames at the right times, or one clear line; the table of them all.

The table in docs/inputs.md holds what came out here; `WRITE_INPUTS_TABLE=1` in the environment writes it anew.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from helpers.torture_makers import SIZE, color_error, face_box, frame_number
from helpers.torture_set import CASES, FACE, RATES, SHAPES, SPEECH, STARTS, Case, Result, write_all
from helpers.untrained import untrained_pipeline

from diff2lip_diffusers import Diff2LipPipeline, Diff2LipPipelineOutput, cli, sync_video
from diff2lip_diffusers.cli import options as cli_options
from diff2lip_diffusers.errors import Diff2LipError

DOCS = Path(__file__).parents[2] / "docs" / "inputs.md"
TABLE_START, TABLE_END = "<!-- table of the torture set: start -->", "<!-- table of the torture set: end -->"
LOUD = 0.1
LONGEST_PRIMING_S = 1024 / 8000  # the packet in front, which players hide


# What came out


@dataclass(frozen=True)
class Listing:
    """What a file states, and when its packets are due, in seconds."""

    fps: Fraction
    size: tuple[int, int]
    aspect: Fraction
    frame_times_s: Sequence[float]
    audio: str
    audio_s: tuple[float, float]


@dataclass(frozen=True)
class Measured:
    """An output, or the one line that came instead."""

    listing: Listing | None = None
    seen: Sequence[int | None] = ()
    color_levels: float = 0
    onset_s: float | None = None
    error: str = ""

    def __str__(self) -> str:
        if self.error:
            return self.error
        frames, listing = len(self.seen), self.listing
        fps = f"{float(listing.fps):.6g}"
        return f"{frames} × {fps}, {listing.size[0]}x{listing.size[1]}, {listing.audio}"


def listed_by_ffprobe(path: Path) -> Listing:
    command = ["ffprobe", "-v", "error", "-show_streams", "-show_packets", "-of", "json", f"file:{path}"]
    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    video, audio = sorted(found["streams"], key=lambda stream: stream["codec_type"], reverse=True)
    times = {stream["index"]: [] for stream in found["streams"]}
    for packet in found["packets"]:
        start_s = float(packet["pts_time"])
        times[packet["stream_index"]].append((start_s, start_s + float(packet.get("duration_time", 0))))
    return Listing(
        Fraction(video["avg_frame_rate"]),
        (video["width"], video["height"]),
        Fraction(video.get("sample_aspect_ratio", "1:1").replace(":", "/")),
        sorted(start_s for start_s, _ in times[video["index"]]),
        f"{audio['codec_name']} {audio['sample_rate']} Hz {audio['channel_layout']}",
        (min(times[audio["index"]])[0], max(end_s for _, end_s in times[audio["index"]])),
    )


def listed_by_pyav(path: Path) -> Listing:
    with av.open(f"file:{path}") as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        times = {video: [], audio: []}
        for packet in container.demux(video, audio):
            if packet.size:
                ends = packet.pts * packet.time_base, (packet.pts + packet.duration) * packet.time_base
                times[packet.stream].append(tuple(map(float, ends)))
        return Listing(
            video.average_rate,
            (video.width, video.height),
            video.sample_aspect_ratio or Fraction(1),
            sorted(start_s for start_s, _ in times[video]),
            f"{audio.codec_context.name.replace('mp3float', 'mp3')} {audio.rate} Hz {audio.layout.name}",
            (min(times[audio])[0], max(end_s for _, end_s in times[audio])),
        )


def decoded_frames(path: Path) -> list[np.ndarray]:
    """(H, W, 3) each, by the rules of FFmpeg; a display matrix would turn them once more in a player."""
    with av.open(f"file:{path}") as container:
        frames = list(container.decode(video=0))
        assert not any(frame.rotation for frame in frames[:1])
        return [frame.to_ndarray(format="rgb24") for frame in frames]


def onset_s(path: Path) -> float | None:
    """When the audio first gets loud; its channels may change on the way."""
    with av.open(f"file:{path}") as container:
        for frame in container.decode(audio=0):
            for mono in av.AudioResampler(format="flt", layout="mono").resample(frame):
                loud = np.flatnonzero(np.abs(mono.to_ndarray()[0]) > LOUD)
                if loud.size:
                    return float(frame.pts * frame.time_base) + loud[0] / frame.sample_rate
    return None


class PassesFacesOn(Diff2LipPipeline):
    """Paints only where it is told to, to save time: most of these tests are about files."""

    paints = False

    def __call__(self, frames, **arguments):
        if self.paints:
            return super().__call__(frames, **arguments)
        return Diff2LipPipelineOutput(frames=frames / np.float32(255))


@pytest.fixture(scope="module")
def pipe() -> PassesFacesOn:
    pipe = PassesFacesOn(**untrained_pipeline(sample_size=16).components)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("torture")
    write_all(folder / "in")
    (folder / "out").mkdir()
    return folder


@pytest.fixture(scope="module")
def measure(folder, pipe) -> Callable[[Case], Measured]:
    """What became of a case; each is done once."""
    done = {}

    def measure_once(case: Case) -> Measured:
        if case.name not in done:
            done[case.name] = measured(case, folder, pipe, case in (*RATES, *STARTS, *SHAPES))
        return done[case.name]

    return measure_once


def measured(case: Case, folder: Path, pipe: PassesFacesOn, by_ffprobe: bool) -> Measured:
    output = folder / "out" / (case.name if case.name.endswith(".mp4") else "out.mp4")
    size = case.expected.size if isinstance(case.expected, Result) else SIZE
    pipe.paints = case.role == "audio"  # there the model hears what came out of the file
    try:
        sync_video(pipe, *inputs(case, folder), output, box=face_box(size), num_inference_steps=1, **case.options)
    except (Diff2LipError, ValueError) as error:
        assert not any((folder / "out").iterdir())
        return Measured(error=str(error).replace(f"{folder / 'in'}{os.sep}", ""))
    try:
        return measured_output(output, by_ffprobe)
    finally:
        output.unlink()


def measured_output(path: Path, by_ffprobe: bool) -> Measured:
    listing, video = listed_by_pyav(path), decoded_frames(path)
    if by_ffprobe and shutil.which("ffprobe"):
        check_same(listing, listed_by_ffprobe(path))
    colors = max(map(color_error, video))
    return Measured(listing, [frame_number(frame) for frame in video], colors, onset_s(path))


def check_same(first: Listing, second: Listing) -> None:
    assert replace(first, frame_times_s=(), audio_s=(0, 0)) == replace(second, frame_times_s=(), audio_s=(0, 0))
    assert first.frame_times_s == pytest.approx(second.frame_times_s, abs=1e-5)
    assert first.audio_s == pytest.approx(second.audio_s, abs=0.025)  # releases differ about the last packet


def inputs(case: Case, folder: Path) -> tuple[Path, Path | None]:
    file = folder / "in" / case.name
    return {
        "video": (file, folder / "in" / SPEECH),
        "audio": (folder / "in" / FACE, file),
        "both": (file, None),
    }[case.role]


# Each file


EACH = pytest.mark.parametrize("case", [pytest.param(case, id=ascii(case.name)[1:-1]) for case in CASES])


@EACH
def test_a_file_gives_the_right_frames_at_the_right_times_or_one_clear_line(measure, case):
    check(measure(case), case)


@pytest.mark.slow  # a process for each file
@pytest.mark.skipif(not shutil.which("ffprobe"), reason="needs the ffprobe program")
@EACH
def test_ffprobe_says_the_same(folder, pipe, case):
    check(measured(case, folder, pipe, by_ffprobe=True), case)


def check(found: Measured, case: Case) -> None:
    if isinstance(case.expected, str):
        check_line(found.error, case)
    else:
        assert not found.error
        check_frames(found, case.expected)
        check_audio(found, case.expected)


def check_line(line: str, case: Case) -> None:
    assert re.search(case.expected, line)
    assert "\n" not in line
    # An option, named in quotes, does not suit the file; or there is too little audio, and only one file has audio.
    assert case.name in line or line.startswith(("`", "the audio "))


def check_frames(found: Measured, expected: Result) -> None:
    listing, fps = found.listing, Fraction(expected.fps)
    assert len(found.seen) == len(expected.seen)
    assert [None if wanted is None else seen for seen, wanted in zip(found.seen, expected.seen, strict=True)] == list(
        expected.seen
    )
    assert listing.fps == fps
    assert listing.frame_times_s == pytest.approx([float(k / fps) for k in range(len(expected.seen))], abs=1e-3)
    assert (listing.size, listing.aspect) == (expected.size, expected.aspect)
    assert found.color_levels <= expected.color_levels


def check_audio(found: Measured, expected: Result) -> None:
    frame_s = float(1 / Fraction(expected.fps))
    start_s, end_s = found.listing.audio_s
    assert found.listing.audio == expected.audio
    assert start_s >= -LONGEST_PRIMING_S
    assert end_s == pytest.approx(len(expected.seen) * frame_s, abs=frame_s)
    if expected.onset_s is not None:
        assert found.onset_s == pytest.approx(expected.onset_s, abs=expected.onset_off_s)


# Names on the command line


@pytest.fixture
def in_folder(folder, pipe, monkeypatch) -> Path:
    """The command line where the files are, with a model at hand."""
    monkeypatch.chdir(folder / "in")
    monkeypatch.setattr(cli_options, "load_pipeline", lambda *_, **__: pipe)
    pipe.paints = False
    return folder


def sync_command(*arguments: str, output: Path) -> int:
    box = ",".join(map(str, face_box(SIZE)))
    return cli.main(["sync", "--model", "any", f"--output={output}", "--box", box, "--steps", "1", *arguments])


@pytest.mark.parametrize(
    "arguments",
    [
        ["--video=-leading.mp4"],
        ["--video", "./-leading.mp4"],
        ["--video=--output.mp4"],
        ["--video", "./--output.mp4"],
        ["--video", "new\nline.mp4"],
        ["--video", "a:b.mp4"],
        ["--video", "http:x.mp4"],
        ["--video", "frame%03d.mp4"],
        ["--video", "唇語 видео 😀.mp4"],
        ["--video", FACE, "--audio=-leading.mp4"],
    ],
    ids=ascii,
)
def test_odd_names_on_the_command_line(in_folder, capsys, arguments):
    output = in_folder / "out" / "out.mp4"
    assert sync_command(*arguments, output=output) == 0
    assert listed_by_pyav(output).size == SIZE
    output.unlink()
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["new\nline missing.mp4", "-missing.mp4", "%s {} missing.mp4", "link.mp4", "no audio.mp4"]
)
def test_a_bad_file_on_the_command_line_ends_in_one_line(in_folder, capsys, name):
    assert sync_command(f"--video={name}", output=in_folder / "out" / "out.mp4") == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("diff2lip sync: ") and " ".join(name.split()) in said


# The table


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the table has named pipes")
def test_the_table_in_the_docs_is_what_came_out(measure):
    table = "\n".join(table_rows(measure))
    print(table)
    before, rest = DOCS.read_text(encoding="utf-8").split(TABLE_START)
    committed, after = rest.split(TABLE_END)
    if os.environ.get("WRITE_INPUTS_TABLE"):
        DOCS.write_text(f"{before}{TABLE_START}\n{table}\n{TABLE_END}{after}", encoding="utf-8")
    else:
        assert committed.strip() == table, "run WRITE_INPUTS_TABLE=1 python -m pytest tests/media/test_torture_set.py"


def table_rows(measure) -> Iterator[str]:
    yield "| file | what is special | used as | what comes out |"
    yield "|---|---|---|---|"
    for case in CASES:
        used_as = {"video": "video", "audio": "recording", "both": "both"}[case.role]
        yield f"| {shown_name(case.name)} | {case.special} | {used_as} | {as_cell(str(measure(case)))} |"


def shown_name(name: str) -> str:
    """As code in a Markdown cell; very long names shortened."""
    escaped = ascii(name)[1:-1] if not name.isprintable() else name
    short = escaped if len(escaped) < 60 else f"{escaped[:10]}…{escaped[-10:]}"
    return f"`` {as_cell(short)} ``" if "`" in short else f"`{as_cell(short)}`"


def as_cell(text: str) -> str:
    return text.replace("|", "\\|")
