import errno
import json
import os
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diff2lip_diffusers.boxes import Detection, FaceBox
from diff2lip_diffusers.errors import MediaError
from diff2lip_diffusers.faces.detections_file import DetectionsWriter, read_detections

VIDEO = (640, 360, Fraction(30000, 1001))
HEADER = {"format": "diff2lip-detections", "version": 1, "width": 640, "height": 360, "fps": "30000/1001"}
FACE = Detection(FaceBox(10.25, 20.5, 60.75, 90), 0.97)
OTHER = Detection(FaceBox(310, 20.12, 360, 90.99), 0.95)

hundredths = st.integers(0, 64_000).map(lambda number: number / 100)
faces = st.builds(
    lambda x, y, width, height, score: Detection(
        FaceBox(x, y, round(x + width, 2), round(y + height, 2)), score
    ),
    *[hundredths] * 4,
    st.integers(0, 100).map(lambda number: number / 100),
)  # fmt: skip


@pytest.fixture
def path(tmp_path):
    return tmp_path / "faces.jsonl"


def write(path, frames, video=VIDEO):
    with DetectionsWriter(path, *video) as writer:
        for detections in frames:
            writer.write(detections)


def one_line(raised, path):
    message = str(raised.value)
    assert message.startswith(f"{path}: ") and "\n" not in message and raised.value.path == path
    return message


@settings(max_examples=30)
@given(frames=st.lists(st.lists(faces, max_size=3), max_size=8), data=st.data())
def test_what_was_written_is_read_in_any_order(tmp_path_factory, frames, data):
    path = tmp_path_factory.mktemp("detections") / "faces.jsonl"
    write(path, frames)
    kept = read_detections(path, *VIDEO)
    assert len(kept) == len(frames) and list(kept) == frames
    for index in data.draw(st.permutations(range(len(frames)))):
        assert kept[index] == frames[index]


def test_the_file_is_json_lines(path):
    write(path, [[FACE, OTHER], [], [Detection(FaceBox(1.006, 2, 3.9949, 4), 0.9666)]])
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        HEADER,
        [[10.25, 20.5, 60.75, 90, 0.97], [310, 20.12, 360, 90.99, 0.95]],
        [],
        [[1.01, 2, 3.99, 4, 0.97]],
        {"frames": 3},
    ]


def test_whole_rates_and_floats_are_the_same_rate(path):
    write(path, [[FACE]], (640, 360, 25.0))
    assert read_detections(path, 640, 360, Fraction(25))[0] == [FACE]


def test_memory_is_of_plain_numbers(path):
    write(path, [[FACE]] * 1000)
    kept = read_detections(path, *VIDEO)
    assert kept._numbers.itemsize * len(kept._numbers) + kept._ends.itemsize * len(kept._ends) <= 48 * 1001


# All or nothing


def test_the_file_appears_at_the_end_with_the_rights_of_any_other(path):
    with DetectionsWriter(path, *VIDEO) as writer:
        writer.write([FACE])
        assert not path.exists()
        assert all(name.startswith(".") for name in os.listdir(path.parent))
    assert os.listdir(path.parent) == [path.name]
    other = path.with_name("other")
    other.touch()
    assert path.stat().st_mode == other.stat().st_mode


@pytest.mark.parametrize("before", [None, "as it was"])
def test_an_error_leaves_everything_as_it_was(path, before):
    if before:
        path.write_text(before)
    with pytest.raises(KeyboardInterrupt), DetectionsWriter(path, *VIDEO) as writer:
        writer.write([FACE])
        raise KeyboardInterrupt
    assert os.listdir(path.parent) == ([path.name] if before else [])
    assert not before or path.read_text() == before


@pytest.mark.parametrize(
    "box, score",
    [(FaceBox(0, 0, float("nan"), 5), 1.0), (FaceBox(5, 0, 4, 5), 1.0), (FaceBox(0, 0, 5, 5), float("inf"))],
)
def test_what_could_not_be_read_is_not_written(path, box, score):
    with pytest.raises(ValueError, match="`detections` of frame 1"), DetectionsWriter(path, *VIDEO) as writer:
        writer.write([FACE])
        writer.write([Detection(box, score)])
    assert os.listdir(path.parent) == []


def test_places_that_cannot_be_written(tmp_path):
    for path, reason in ((tmp_path / "none" / "f.jsonl", "No such file"), (tmp_path, "it is a folder")):
        with pytest.raises(MediaError, match=f"cannot be written: {reason}.*; choose another folder") as raised:
            write(path, [])
        one_line(raised, path)
    assert os.listdir(tmp_path) == []


def test_a_full_disk_is_one_line_and_leaves_nothing(path, monkeypatch):
    def full(self, value):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(MediaError, match="No space left on device; .* make room"):
        with DetectionsWriter(path, *VIDEO) as writer:
            monkeypatch.setattr(DetectionsWriter, "_write_line", full)
            writer.write([FACE])
    assert os.listdir(path.parent) == []


# Bad files


GOOD_LINES = [json.dumps(HEADER), "[[1, 2, 3, 4, 0.9]]", "[]", '{"frames": 2}']


def test_a_file_by_hand_is_read(path):
    path.write_text("\n".join(GOOD_LINES))
    kept = read_detections(path, *VIDEO)
    assert [kept[1], kept[0]] == [[], [Detection(FaceBox(1, 2, 3, 4), 0.9)]]


@pytest.mark.parametrize(
    "changed, reason",
    [
        ({"width": 1920}, "made for 1920x360 at 30000/1001 .*, not for 640x360 at 30000/1001 "),
        ({"height": 361}, "was made for"),
        ({"fps": "25"}, "made for 640x360 at 25 "),
        ({"fps": None}, "was made for"),
        ({"version": 2}, "has version 2, not 1"),
        ({"format": "other"}, "first line is not the header"),
    ],
)
def test_headers_of_something_else(path, changed, reason):
    path.write_text("\n".join([json.dumps({**HEADER, **changed}), *GOOD_LINES[1:]]))
    with pytest.raises(MediaError, match=reason) as raised:
        read_detections(path, *VIDEO)
    assert one_line(raised, path).endswith("delete it to run the detector again")


@pytest.mark.parametrize(
    "line",
    [
        "[[1, 2, 3, 4]]",
        "[[1, 2, 3, 4, 5, 6]]",
        "[[1, 2, NaN, 4, 1]]",
        "[[1, 2, Infinity, 4, 1]]",
        "[[1, 2, 1e999, 4, 1]]",
        f"[[1, 2, 1{'0' * 400}, 4, 1]]",
        f"[[1, 2, 1{'0' * 5000}, 4, 1]]",
        "[" * 100_000,
        '[[1, 2, "3", 4, 1]]',
        "[[1, 2, 3, 4, true]]",
        "[[1, 2, 3, 4, null]]",
        "[[3, 2, 1, 4, 1]]",
        "[1, 2, 3, 4, 1]",
        "null",
        "7",
        "",
        "[[1, 2, 3",
        '{"frames": 3}',
        '{"frames": 1}\n[]',
        "\udcff",
    ],
    ids=lambda line: line[:24] or "empty",
)
def test_lines_that_are_no_faces(path, line):
    text = "\n".join([*GOOD_LINES[:2], line, GOOD_LINES[3]])
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(MediaError, match="is not a complete file of detections") as raised:
        read_detections(path, *VIDEO)
    line = one_line(raised, path)
    assert line.endswith("delete it to run the detector again")
    assert len(line) < 300 + len(str(path))


def test_every_cut_is_seen(path):
    write(path, [[FACE, OTHER], [], [FACE]])
    whole = path.read_bytes()
    for length in range(len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(MediaError) as raised:
            read_detections(path, *VIDEO)
        one_line(raised, path)


def test_files_that_cannot_be_opened(path):
    for name, reason in ((path, "No such file or directory"), (path.parent, "Is a directory")):
        with pytest.raises(MediaError, match=f"cannot be read: {reason}; check its name") as raised:
            read_detections(name, *VIDEO)
        one_line(raised, name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(path):
    write(path, [])
    path.chmod(0)
    with pytest.raises(MediaError, match="cannot be read: Permission denied"):
        read_detections(path, *VIDEO)


def test_a_frame_beyond_the_end_says_what_to_do(path):
    write(path, [[FACE]] * 2)
    kept = read_detections(path, *VIDEO)
    with pytest.raises(MediaError, match="of 2 frames and was made for a shorter video; delete it to run") as raised:
        kept[2]
    one_line(raised, path)
    with pytest.raises(ValueError, match="`frame_index` must be 0 or more, got -1"):
        kept[-1]
