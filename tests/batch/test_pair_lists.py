import csv
import json
import os
import pickle
from dataclasses import fields
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diff2lip_diffusers import SyncOptions
from diff2lip_diffusers.batch.pair_files import inspect_files
from diff2lip_diffusers.batch.pair_files import missing_files as missing_of
from diff2lip_diffusers.batch.pair_lists import read_pairs
from diff2lip_diffusers.batch.pair_options import PAIR_OPTIONS, SHARED_OPTIONS
from diff2lip_diffusers.batch.pairs import Pair, check_pairs
from diff2lip_diffusers.boxes import FaceBox
from diff2lip_diffusers.errors import Diff2LipError, MediaError, PairListError


def missing_files(pairs):
    pairs = list(pairs)
    return missing_of(pairs, inspect_files(pairs))


VOXCELEB2 = "id05459/18XmQEiGLnQ/00001 id07961/3EPjXGhfst4/00001"
VOXCELEB2_OUTPUT = "id05459.18XmQEiGLnQ.00001_id07961.3EPjXGhfst4.00001.mp4"
LRW = "BRING/test/BRING_00018 WESTERN/test/WESTERN_00039"
LRW_OUTPUT = "BRING.test.BRING_00018_WESTERN.test.WESTERN_00039.mp4"

ALL_OPTIONS = {
    "num_inference_steps": ("10", 10),
    "guidance_scale": ("1.5", 1.5),
    "guidance_rescale": ("0.5", 0.5),
    "restore_strength": ("0.5", 0.5),
    "keep_occluders": ("yes", True),
    "detail": ("video", "video"),
    "rest": ("yes", True),
    "seed": ("-3", -3),
    "eta": ("0.5", 0.5),
    "fps": ("30000/1001", Fraction(30000, 1001)),
    "length": ("audio", "audio"),
    "extend": ("loop", "loop"),
    "face": ("100.5,40", (100.5, 40.0)),
    "pads": ("0,-5,10,20", (0, -5, 10, 20)),
    "detection_size": ("320", 320),
    "detection_stride": ("2", 2),
    "mode": ("random", "random"),
    "codec": ("hevc", "hevc"),
    "crf": ("18", 18),
    "mark": ("no", False),
    "watermark": ("0", False),
    "voxceleb2_crop": ("TRUE", True),
    "lossless": ("0", False),
    "reproduce": ("false", False),
}


@pytest.fixture
def write(tmp_path):
    def write_list(name: str, text: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write_list


def problems_of(source, **options) -> tuple[str, ...]:
    with pytest.raises(PairListError) as raised:
        read_pairs(source, **options)
    message = str(raised.value)
    assert message.startswith(f"{source}: ") and "\n" not in message and raised.value.path == source
    assert isinstance(raised.value, Diff2LipError)
    assert all(len(problem) < 400 for problem in raised.value.problems)
    return raised.value.problems


def refused(source) -> str:
    with pytest.raises(MediaError) as raised:
        read_pairs(source)
    message = str(raised.value)
    assert message.startswith(f"{source}: ") and "\n" not in message
    return message


def json_lines(*values: dict) -> str:
    return "\n".join(map(json.dumps, values))


# Lists of two names


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\r"], ids=["none", "lf", "crlf", "cr"])
def test_a_line_of_voxceleb2(write, tmp_path, end):
    source = write("voxceleb2.txt", VOXCELEB2 + end)
    assert read_pairs(source) == [
        Pair(
            tmp_path / "id07961/3EPjXGhfst4/00001.mp4",
            tmp_path / "id05459/18XmQEiGLnQ/00001.mp4",
            VOXCELEB2_OUTPUT,
            {},
            1,
        )
    ]


def test_lines_of_lrw_from_a_root(write):
    [pair] = read_pairs(write("lrw_cross", LRW), root="/data/lrw")
    assert str(pair.audio) == "/data/lrw/BRING/test/BRING_00018.mp4"
    assert str(pair.video) == "/data/lrw/WESTERN/test/WESTERN_00039.mp4"
    assert pair.output == LRW_OUTPUT


def test_blank_lines_comments_tabs_and_a_mark_at_the_start(write):
    text = f"\ufeff# made by hand\r\n\r\n{LRW}\r\n \t \r\n  # more\r\n\t{VOXCELEB2.replace(' ', chr(9) * 2)} \r\n"
    assert [(pair.output, pair.line) for pair in read_pairs(write("list.txt", text))] == [
        (LRW_OUTPUT, 3),
        (VOXCELEB2_OUTPUT, 6),
    ]


@pytest.mark.parametrize(
    "line, audio, video, output",
    [
        ("a/b.wav c/d.mp4", "a/b.wav", "c/d.mp4", "a.b_c.d.mp4"),
        ("a.FLAC b.MOV", "a.FLAC", "b.MOV", "a_b.mp4"),
        ("a.v2 b.1", "a.v2.mp4", "b.1.mp4", "a.v2_b.1.mp4"),
        ("./a//b c/./d", "a/b.mp4", "c/d.mp4", "a.b_c.d.mp4"),
        ("a.wav.mp4 b.gif", "a.wav.mp4", "b.gif", "a.wav_b.mp4"),
        ("é/ß 日本/語", "é/ß.mp4", "日本/語.mp4", "é.ß_日本.語.mp4"),
        ("a\u00a0b c", "a\u00a0b.mp4", "c.mp4", "a\u00a0b_c.mp4"),
        ('"a" b', '"a".mp4', "b.mp4", '"a"_b.mp4'),
        ("a..b c", "a..b.mp4", "c.mp4", "a..b_c.mp4"),
    ],
)
def test_names_of_a_line(write, tmp_path, line, audio, video, output):
    [pair] = read_pairs(write("list.lst", line))
    assert (pair.audio, pair.video, pair.output) == (tmp_path / audio, tmp_path / video, output)


@pytest.mark.parametrize(
    "line, problem",
    [
        ("a", "line 2: has 1 names, expected AUDIO VIDEO; names with spaces need a .csv list"),
        ("a b c", "line 2: has 3 names, expected AUDIO VIDEO; names with spaces need a .csv list"),
        ("../a b", "line 2: `audio` '../a' leaves the root; name it relative to the root, without `..`"),
        ("a b/../../c", "line 2: `video` 'b/../../c' leaves the root; name it relative to the root, without `..`"),
        ("a b/..", "line 2: `video` 'b/..' leaves the root; name it relative to the root, without `..`"),
        ("/etc/a b", "line 2: `audio` '/etc/a' leaves the root; name it relative to the root, without `..`"),
        ("a ..", "line 2: `video` '..' leaves the root; name it relative to the root, without `..`"),
        ("a .", "line 2: `video` '.' names no file"),
        ("a \0", "line 2: `video` '\\x00' holds control characters or is not UTF-8; rename the file"),
        (".a b", "line 2: `output` '.a_b.mp4' has a name that starts with a dot; choose another `output`"),
    ],
)
def test_lines_of_two_names_that_make_no_sense(write, line, problem):
    assert problems_of(write("list.txt", f"x y\n{line}\nv w\n")) == (problem,)


@pytest.mark.parametrize(
    "name",
    [
        *["/a.mp4", "//a.mp4", "\\a.mp4", "\\\\host\\a.mp4", "C:\\a.mp4", "c:/a.mp4", "C:a.mp4", "/"],
        *["..", "../a.mp4", "a/../../b.mp4", "a/..", "..\\a.mp4", "a\\..\\b.mp4", "./../a.mp4", "a//../b.mp4"],
    ],
)
@pytest.mark.parametrize("key", ["audio", "video", "output"])
def test_names_outside_the_root(write, key, name):
    given = {"audio": "a.wav", "video": "v.mp4", "output": "o.mp4", key: name}
    [in_json] = problems_of(write("list.jsonl", json.dumps(given)))
    [in_csv] = problems_of(write("list.csv", f"{','.join(given)}\n{','.join(given.values())}\n"))
    assert in_json.startswith(f"line 1: `{key}` {name!r} leaves the root; ")
    assert in_csv.startswith(f"line 2: `{key}` {name!r} leaves the root; ")


def test_28_000_lines(write):
    lines = (f"WORD{n}/test/WORD{n}_{n:05} OTHER/test/OTHER_{n:05}" for n in range(28_000))
    pairs = read_pairs(write("lrw_cross.txt", "\n".join(lines)), root="lrw")
    assert len(pairs) == 28_000
    assert pairs[-1] == Pair(
        Path("lrw/OTHER/test/OTHER_27999.mp4"),
        Path("lrw/WORD27999/test/WORD27999_27999.mp4"),
        "WORD27999.test.WORD27999_27999_OTHER.test.OTHER_27999.mp4",
        {},
        28_000,
    )


# CSV


def test_a_csv_by_hand(write, tmp_path):
    source = write(
        "pairs.CSV",
        b"\xef\xbb\xbf# who says what\r\n"
        b'video, audio,output,box,seed\r\n'
        b'faces/anna.mp4, speech/hello.wav,,"10,20,200,240",3\r\n'
        b"\r\n"
        b'"faces/b, the other.mov",,out/b.mkv,,\r\n'
        b"  # the last one\r\n"
        b'"#1.mp4",,,,\r\n',
    )  # fmt: skip
    assert read_pairs(source) == [
        Pair(
            tmp_path / "faces/anna.mp4",
            tmp_path / "speech/hello.wav",
            "speech.hello_faces.anna.mp4",
            {"box": (10, 20, 200, 240), "seed": 3},
            3,
        ),
        Pair(tmp_path / "faces/b, the other.mov", None, "out/b.mkv", {}, 5),
        Pair(tmp_path / "#1.mp4", None, "#1.mp4", {}, 7),
    ]


def test_every_option_in_a_csv(write):
    header = ["video", *ALL_OPTIONS]
    cells = ["v.mp4", *(f'"{text}"' for text, _ in ALL_OPTIONS.values())]
    [pair] = read_pairs(write("pairs.csv", f"{','.join(header)}\n{','.join(cells)}\n"))
    assert pair.options == {name: value for name, (_, value) in ALL_OPTIONS.items()}
    assert {name: type(value) for name, value in pair.options.items()} == {
        name: type(value) for name, (_, value) in ALL_OPTIONS.items()
    }
    SyncOptions(**pair.options)


def test_a_reference_is_a_word_or_a_file_below_the_root(write, tmp_path):
    best, her = read_pairs(write("pairs.csv", "video,reference\na.mp4,best\nb.mp4,faces/her.png\n"))
    assert (best.options, her.options) == ({"reference": "best"}, {"reference": tmp_path / "faces/her.png"})
    for pair, files in ((best, 1), (her, 2)):
        assert len(inspect_files([pair])) == files


def test_every_option_can_be_chosen_for_a_pair_or_is_shared():
    assert set(ALL_OPTIONS) | {"box", "drive", "segments", "mask", "reference"} == set(PAIR_OPTIONS)
    assert set(PAIR_OPTIONS).isdisjoint(SHARED_OPTIONS)
    assert set(PAIR_OPTIONS) | set(SHARED_OPTIONS) == {option.name for option in fields(SyncOptions)}


@pytest.mark.parametrize(
    "header, problem",
    [
        (
            "video,auido",
            "line 1: column 'auido' is unknown, known are audio, video, output, num_inference_steps, eta, ",
        ),
        ("video;audio", "line 1: column 'video;audio' is unknown, known are audio, video, output, "),
        ("video,", "line 1: column '' is unknown, known are"),
        ("Video", "line 1: column 'Video' is unknown, known are"),
        ("audio,output", "line 1: names no column `video`; the first line must name the columns"),
        ("video,audio,video", "line 1: names the column `video` twice; leave one out"),
        ("video,batch_size", "line 1: `batch_size` cannot be chosen for a single pair; choose it for all of them"),
        ("video,restore", "line 1: `restore` cannot be chosen for a single pair; choose it for all of them"),
        ("video,detector", "line 1: `detector` cannot be chosen for a single pair; choose it for all of them"),
        ("video,detections", "line 1: `detections` cannot be chosen for a single pair; choose it for all of them"),
        ('"video', "line 1: is not valid CSV (unexpected end of data); check its quotes"),
        ("\n# columns\naudio", "line 3: names no column `video`"),
    ],
)
def test_headers_that_make_no_sense(write, header, problem):
    [found] = problems_of(write("pairs.csv", f"{header}\nv.mp4\n"))
    assert found.startswith(problem)


@pytest.mark.parametrize(
    "row, problem",
    [
        ("v.mp4", "has 1 cells, expected 4 as in the header; quote a cell with commas, as in \"1,2,3,4\""),
        ("v.mp4,a.wav,,1,2", "has 5 cells, expected 4 as in the header; quote a cell with commas, as in \"1,2,3,4\""),
        ('"v.mp4,a.wav,,', "is not valid CSV (unexpected end of data); check its quotes"),
        ('"v"x,a.wav,,', "is not valid CSV (',' expected after '\"'); check its quotes"),
        (",a.wav,,", "has no `video`; name the video with the face"),
        ("v.mp4,a\x07.wav,,", "`audio` 'a\\x07.wav' holds control characters or is not UTF-8; rename the file"),
        ("v.mp4,a.wav,o.webm,", "`output` 'o.webm' must end in .mp4, .m4v, .mov, .mkv"),
        ("v.mp4,a.wav,o,", "`output` 'o' must end in .mp4, .m4v, .mov, .mkv"),
        ("v.mp4,a.wav,.o.mp4,", "`output` '.o.mp4' has a name that starts with a dot; choose another `output`"),
        ("v.mp4,a.wav,a/.b/o.mp4,", "`output` 'a/.b/o.mp4' has a name that starts with a dot; choose another"),
        ("v.mp4,a.wav,Results.JSONL,", "`output` 'Results.JSONL' is the name of the results file; choose another"),
        ("v.mp4,a.wav,results.jsonl/a.mp4,", "`output` 'results.jsonl/a.mp4' is the name of the results file"),
        ("v.mp4,a.wav,a\\b.mp4,", "`output` 'a\\\\b.mp4' has a backslash; use / between folders"),
        (f"v.mp4,a.wav,{'é' * 99}.mp4,", f"`output` '{'é' * 76}... is too long, over 200 bytes; choose a shorter"),
        (f"{'v' * 100},{'a' * 100},,", f"`output` '{'a' * 76}... is too long, over 200 bytes; choose a shorter"),
        ('v.mp4,a.wav,,"1,2"', "`box` is '1,2', expected x1,y1,x2,y2 with at least 8 pixels in width"),
        ('v.mp4,a.wav,,"9,2,3,40"', "`box` is '9,2,3,40', expected x1,y1,x2,y2 with at least 8 pixels in width"),
        ('v.mp4,a.wav,,"0,0,3,40"', "`box` is (0, 0, 3, 40), expected x1,y1,x2,y2 with at least 8 pixels in width"),
    ],
)  # fmt: skip
def test_rows_that_make_no_sense(write, row, problem):
    text = f"video,audio,output,box\nx.mp4,,,\n# here\n{row}\ny.mp4,,,\n"
    [found] = problems_of(write("pairs.csv", text))
    assert found.startswith(f"line 4: {problem}")


@pytest.mark.parametrize(
    "name, text, expected",
    [
        ("face", "left", "largest, a number from 0, or a point x,y"),
        ("face", "-1", "largest, a number from 0, or a point x,y"),
        ("pads", "1,2,3", "four numbers top,bottom,left,right"),
        ("num_inference_steps", "0", "a whole number above 0"),
        ("seed", "1.5", "a whole number of 64 bits"),
        ("seed", "true", "a whole number of 64 bits"),
        ("eta", "nan", "a number in [0, 1]"),
        ("fps", "30/0", "a number from 0.1 to 300, such as 25 or 30000/1001"),
        ("fps", "1E999999999", "a number from 0.1 to 300, such as 25 or 30000/1001"),
        ("crf", "52", "a whole number from 0 to 51"),
        ("detection_size", "63", "a whole number of pixels, at least 64"),
        ("detection_stride", "x", "a whole number above 0"),
        ("mode", "Cross", "one of cross, reconstruction, random"),
        ("length", "10", "one of video, audio, shortest, longest"),
        ("extend", "stop", "one of pingpong, loop, freeze"),
        ("codec", "divx", "one of h264, hevc, "),
        ("mark", "2", "True or False"),
        ("lossless", "x", "True or False"),
    ],
)
def test_option_texts_that_make_no_sense(write, name, text, expected):
    [found] = problems_of(write("pairs.csv", f'video,{name}\nv.mp4,"{text}"\n'))
    assert found.startswith(f"line 2: `{name}` is '{text}', expected {expected}")


@pytest.mark.parametrize(
    "given, problem",
    [
        ({"box": "1,2,30,40", "voxceleb2_crop": "yes"}, "`box` and `voxceleb2_crop` exclude each other; pass one of"),
        ({"quality": "3", "lossless": "1"}, "`crf` cannot be chosen with `lossless`, prores or ffv1; leave it"),
        ({"reproduce": "true", "length": "audio"}, "`reproduce` does what the original does; leave out `length`"),
    ],
)
def test_options_of_a_line_that_contradict_each_other(write, given, problem):
    [found] = problems_of(write("pairs.jsonl", json_lines({"video": "a.mp4"}, {"video": "b.mp4", **given})))
    assert found.startswith(f"line 2: {problem}")


def test_three_problems_are_told_and_the_rest_counted(write):
    rows = ['a.mp4,"1,2"', "b.mp4,", "../c.mp4,", "d.mp4", ",", 'e.mp4,"9"', "f.mp4,", "F.MP4,"]
    source = write("pairs.csv", "\n".join(["video,box", *rows]))
    with pytest.raises(PairListError) as raised:
        read_pairs(source)
    assert str(raised.value) == (
        f"{source}: line 2: `box` is '1,2', expected x1,y1,x2,y2 with at least 8 pixels in width and height;"
        " line 4: `video` '../c.mp4' leaves the root; name it relative to the root, without `..`;"
        ' line 5: has 1 cells, expected 2 as in the header; quote a cell with commas, as in "1,2,3,4"; and 3 more'
    )
    assert [problem.split(":")[0] for problem in raised.value.problems] == [f"line {n}" for n in (2, 4, 5, 6, 7, 9)]


def test_the_same_output_twice(write):
    source = write("list.txt", f"# cross\nx y\n{LRW}\nX Y\n\n{LRW}\n{LRW}\n")
    assert problems_of(source) == (
        "line 4: gives the same output X_Y.mp4 as line 2; drop one, or name its `output`",
        f"line 6: gives the same output {LRW_OUTPUT} as line 3; drop one, or name its `output`",
        f"line 7: gives the same output {LRW_OUTPUT} as line 3; drop one, or name its `output`",
    )


def test_names_that_become_the_same_output_get_their_own(write):
    text = "audio,video,output\na/b.wav,c.mp4,\na.b.wav,c.mp4,{}\n"
    assert problems_of(write("pairs.csv", text.format("./A.B_c.mp4"))) == (
        "line 3: gives the same output A.B_c.mp4 as line 2; drop one, or name its `output`",
    )
    pairs = read_pairs(write("pairs.csv", text.format("./second//c.mp4")))
    assert [pair.output for pair in pairs] == ["a.b_c.mp4", "second/c.mp4"]


parts = (
    st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="/\\"), min_size=1)
    .map(lambda part: part[:20])
    .filter(lambda part: part not in (".", "..") and part[1:2] != ":")
)
names = st.lists(parts, min_size=1, max_size=4).map("/".join)
OUTSIDE = Path("/data")


@settings(max_examples=100, deadline=None)
@given(pairs=st.lists(st.tuples(names, st.none() | names), min_size=1, max_size=5))
def test_safe_names_are_read_as_they_were_written(tmp_path_factory, pairs):
    path = tmp_path_factory.mktemp("lists") / "pairs.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["video", "audio", "output"])
        writer.writerows((video, audio or "", f"{n}.mp4") for n, (video, audio) in enumerate(pairs))
    read = [(pair.video, pair.audio, pair.output) for pair in read_pairs(path, root=OUTSIDE)]
    assert read == [
        (Path(f"/data/{video}"), audio and Path(f"/data/{audio}"), f"{n}.mp4")
        for n, (video, audio) in enumerate(pairs)
    ]


# JSON lines


def test_every_option_in_json_as_texts_and_as_values(write):
    texts = {name: text for name, (text, _) in ALL_OPTIONS.items()}
    values = {name: value for name, (_, value) in ALL_OPTIONS.items()}
    values |= {"fps": 30, "face": [100.5, 40], "pads": [0, -5, 10, 20]}
    lines = json_lines({"video": "a.mp4", **texts}, {"video": "b.mp4", **values})
    first, second = read_pairs(write("pairs.jsonl", lines))
    assert first.options == {name: value for name, (_, value) in ALL_OPTIONS.items()}
    assert second.options == first.options | {"fps": Fraction(30)}


@pytest.mark.parametrize(
    "name, value, expected",
    [
        ("box", [10, 20, 200, 240], (10, 20, 200, 240)),
        ("face", 2, 2),
        ("face", "largest", "largest"),
        ("face", [7, 9], (7.0, 9.0)),
        ("fps", 29.97, Fraction(2997, 100)),
        ("eta", 1, 1.0),
        ("lossless", True, True),
        ("mark", 0, False),
        ("seed", 2**64 - 1, 2**64 - 1),
        ("seed", " 5 ", 5),
    ],
)
def test_values_in_json(write, name, value, expected):
    [pair] = read_pairs(write("pairs.ndjson", json.dumps({"video": "v.mp4", name: value})))
    assert pair.options == {name: expected} and type(pair.options[name]) is type(expected)


def test_what_is_null_or_empty_is_not_given(write, tmp_path):
    lines = [{"video": "a/b.mov", "audio": None, "output": "", "box": None, "seed": ""}]
    assert read_pairs(write("pairs.JSONL", f"# one\n\n{json_lines(*lines)}\n")) == [
        Pair(tmp_path / "a/b.mov", None, "a.b.mp4", {}, 3)
    ]


@pytest.mark.parametrize(
    "line, problem",
    [
        ("video", "is not valid JSON (Expecting value): 'video'"),
        ('{"video": "a.mp4"', "is not valid JSON (Expecting ',' delimiter): "),
        ('{"video": "a.mp4"} {}', "is not valid JSON (Extra data): "),
        ('{"video": "a.mp4", "video": "b.mp4"}', "is not valid JSON (a key occurs twice): "),
        ("[" * 100_000, "is not valid JSON (maximum recursion depth exceeded"),
        ('["a.mp4"]', "is not a JSON object, {\"video\": ...}: '[\"a.mp4\"]'"),
        ("7", "is not a JSON object"),
        ("{}", "has no `video`; name the video with the face"),
        ('{"video": ""}', "has no `video`; name the video with the face"),
        ('{"video": 3}', "`video` is 3, expected a file name"),
        ('{"video": ["a.mp4"]}', "`video` is ['a.mp4'], expected a file name"),
        ('{"video": "a.mp4", "audio": false}', "`audio` is False, expected a file name"),
        ('{"video": "a\\ud800.mp4"}', "`video` 'a\\ud800.mp4' holds control characters or is not UTF-8"),
        ('{"video": "a\\nb.mp4"}', "`video` 'a\\nb.mp4' holds control characters or is not UTF-8"),
        ('{"video": "a.mp4", "steps": 3}', "key 'steps' is unknown, known are audio, video, output, num_infer"),
        ('{"video": "a.mp4", "detector": "mtcnn"}', "`detector` cannot be chosen for a single pair; choose it for"),
        ('{"video": "a.mp4", "seed": true}', "`seed` is 'true', expected a whole number of 64 bits"),
        ('{"video": "a.mp4", "seed": 3.0}', "`seed` is '3.0', expected a whole number of 64 bits"),
        ('{"video": "a.mp4", "seed": [3]}', "`seed` is [3], expected a text or numbers"),
        ('{"video": "a.mp4", "seed": {}}', "`seed` is {}, expected a text or numbers"),
        ('{"video": "a.mp4", "box": [1, 2]}', "`box` is '1,2', expected x1,y1,x2,y2 with at least 8 pixels in width"),
        ('{"video": "a.mp4", "box": ["1", "2", "9", "9"]}', "`box` is ['1', '2', '9', '9'], expected a text or num"),
        ('{"video": "a.mp4", "face": [1, NaN]}', "`face` is '1,nan', expected largest, a number from 0, or a po"),
        ('{"video": "a.mp4", "fps": 1e999}', "`fps` is 'inf', expected a number from 0.1 to 300, such as 25 or "),
        ('{"video": "a.mp4", "mode": 1}', "`mode` is '1', expected one of cross, reconstruction, random"),
    ],
    ids=lambda text: text[:40],
)  # fmt: skip
def test_lines_of_json_that_make_no_sense(write, line, problem):
    [found] = problems_of(write("pairs.jsonl", f'# here\n{line}\n{{"video": "last.mp4"}}'))
    assert found.startswith(f"line 2: {problem}")


# Folders


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch()


def test_files_of_one_name_in_a_folder(tmp_path):
    touch(tmp_path, "b.MOV", "b.wav", "a.b.mp4", "a.b.opus", "notes.txt", ".c.mp4", "._b.mov", "pairs.csv")
    (tmp_path / "deep.mp4").mkdir()
    touch(tmp_path / "deep.mp4", "d.mp4")
    assert read_pairs(tmp_path) == [
        Pair(tmp_path / "a.b.mp4", tmp_path / "a.b.opus", "a.b.mp4"),
        Pair(tmp_path / "b.MOV", tmp_path / "b.wav", "b.mp4"),
    ]


def test_folders_with_files_left_over(tmp_path):
    touch(tmp_path, "a.mp4", "b.wav", "c.mp4", "c.mkv", "c.wav", "d.mp4", "d.mp3", "d.FLAC", "e.mp4", "e.m4a")
    assert problems_of(tmp_path) == (
        "'a': has no audio file beside a.mp4; add one, or move the rest away",
        "'b': has no video file beside b.wav; add one, or move the rest away",
        "'c': has 2 video files, c.mkv, c.mp4; keep one",
        "'d': has 2 audio files, d.FLAC, d.mp3; keep one",
    )


def test_names_that_no_list_holds_are_told_in_one_line(tmp_path):
    touch(tmp_path, "a\nb.mp4", "a\nb.wav", "A.mp4", "A.wav", "a.mp4", "a.wav")
    assert problems_of(tmp_path) == (
        "'a\\nb': `output` 'a\\nb.mp4' holds control characters or is not UTF-8; rename the file",
        "'a': gives the same output a.mp4 as 'A'; drop one, or name its `output`",
    )


def test_a_folder_is_its_own_root(tmp_path):
    touch(tmp_path, "a.mp4", "a.wav")
    with pytest.raises(ValueError, match="`root` is '/data', but a folder of pairs is its own root; leave it out"):
        read_pairs(tmp_path, root="/data")


# Sources that are no lists


@pytest.mark.parametrize(
    "name, text",
    [
        *[("list.txt", ""), ("list.txt", "\ufeff"), ("list.txt", "# a b\n\n  \n")],
        *[("list.csv", ""), ("list.csv", "# a\n"), ("list.csv", "video,audio\r\n\r\n# x\r\n"), ("list.jsonl", "\n")],
    ],
)
def test_lists_that_name_no_pair(write, name, text):
    assert refused(write(name, text)).endswith("has no pair; add at least one")


def test_a_folder_without_pairs(tmp_path):
    touch(tmp_path, "readme.txt", ".a.mp4")
    assert refused(tmp_path).endswith("has no pair; add at least one")


@pytest.mark.parametrize("name", ["list.txt", "list.csv", "list.jsonl"])
@pytest.mark.parametrize("text", ["é x\n".encode("latin-1"), "video,audio\na,b\n".encode("utf-16")])
def test_lists_that_are_not_utf_8(write, name, text):
    assert refused(write(name, text)).endswith("is not UTF-8 text; name a list that is saved as UTF-8")


def test_lists_that_cannot_be_read(tmp_path):
    assert refused(tmp_path / "none.csv").endswith(
        "cannot be read: No such file or directory; check its name and rights"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_list_without_permission(write):
    source = write("list.txt", LRW)
    source.chmod(0)
    assert refused(source).endswith("cannot be read: Permission denied; check its name and rights")


def test_reading_changes_nothing_and_looks_at_no_file_that_is_named(write, tmp_path, monkeypatch):
    source = write("pairs.csv", "video,audio,output\nnone/v.mp4,none/a.wav,new/o.mp4\n")
    monkeypatch.chdir(tmp_path)
    before = source.stat().st_mtime_ns
    [pair] = read_pairs("pairs.csv")
    assert pair == Pair(Path("none/v.mp4"), Path("none/a.wav"), "new/o.mp4", {}, 2)
    assert os.listdir(tmp_path) == ["pairs.csv"] and source.stat().st_mtime_ns == before


def test_links_are_followed_wherever_they_lead(write, tmp_path):
    (tmp_path / "away").symlink_to("/")
    [pair] = read_pairs(write("list.txt", "away/a b"))
    assert pair.audio == tmp_path / "away/a.mp4"


def test_options_of_one_pair_are_its_own(write):
    first, second = read_pairs(write("pairs.csv", "video,seed\na.mp4,5\nb.mp4,5\n"))
    first.options["seed"] = 6
    assert second.options == {"seed": 5}
    assert read_pairs(write("pairs.csv", "video,seed\na.mp4,5\n"))[0].options == {"seed": 5}
    assert pickle.loads(pickle.dumps(second)) == second


# Pairs from Python


def problems_in(pairs) -> tuple[str, ...]:
    with pytest.raises(PairListError, match="^pairs: ") as raised:
        check_pairs(pairs)
    return raised.value.problems


def test_pairs_from_python_lie_anywhere_and_keep_their_values():
    box = FaceBox(1, 2.5, 30, 40)
    pairs = [
        Pair("/a/../v.mp4", "s.wav", "./a//b.MP4", {"box": box, "seed": 3}),
        Pair(Path("x"), None, "x.mov", line=9),
    ]
    assert check_pairs(iter(pairs)) == [
        Pair(Path("/a/../v.mp4"), Path("s.wav"), "a/b.MP4", {"box": box, "seed": 3}),
        Pair(Path("x"), None, "x.mov", {}, 9),
    ]
    assert check_pairs([]) == []


def test_a_list_that_was_read_is_fine(write):
    pairs = read_pairs(write("pairs.csv", 'video,box,fps\na.mp4,"1,2,30,40",30000/1001\nb.mp4,,\n'))
    assert check_pairs(pairs) == pairs


@pytest.mark.parametrize("other", [("v.mp4", "a.wav"), "v.mp4", None, {"video": "v.mp4"}])
def test_anything_but_pairs_is_a_mistake(other):
    with pytest.raises(TypeError, match=r"`pairs\[1\]` is .*, expected a Pair$"):
        check_pairs([Pair(Path("v"), None, "o.mp4"), other])


@pytest.mark.parametrize(
    "changed, problem",
    [
        ({"output": "../o.mp4"}, "`output` '../o.mp4' leaves the root; name it relative to the root, without `..`"),
        ({"output": Path("o.mp4")}, "`output` is PosixPath('o.mp4'), expected a file name"),
        ({"output": "o.gif"}, "`output` 'o.gif' must end in .mp4, .m4v, .mov, .mkv"),
        ({"output": ""}, "`output` '' names no file"),
        ({"video": None}, "`video` is None, expected a path"),
        ({"audio": 3}, "`audio` is 3, expected a path"),
        ({"audio": ""}, "`audio` is '', expected a path"),
        ({"options": None}, "`options` is None, expected a mapping of names to values"),
        ({"options": {"steps": 3}}, "option 'steps' is unknown, known are num_inference_steps, eta, "),
        ({"options": {"restore": None}}, "`restore` cannot be chosen for a single pair; choose it for all of them"),
        ({"options": {"seed": "3"}}, "`seed` is '3', expected a whole number of 64 bits"),
        ({"options": {"mark": "no"}}, "`mark` is 'no', expected True or False"),
        ({"options": {"box": 3}}, "`box` is 3, expected x1,y1,x2,y2 with at least 8 pixels in width"),
        ({"options": {"quality": 3, "lossless": True}}, "`crf` cannot be chosen with `lossless`, prores or ffv1"),
    ],
)
def test_pairs_from_python_that_make_no_sense(changed, problem):
    pair = Pair(**{"video": Path("v.mp4"), "audio": None, "output": "o.mp4", **changed})
    [found] = problems_in([Pair(Path("v.mp4"), None, "first.mp4"), pair])
    assert found.startswith(f"pair 1: {problem}")


def test_pairs_from_python_with_the_same_output():
    pairs = [
        Pair(Path("v"), None, name, line=line) for name, line in (("a.mp4", None), ("A.mp4", 7), ("./a.mp4", None))
    ]
    assert problems_in(pairs) == (
        "line 7: gives the same output A.mp4 as pair 0; drop one, or name its `output`",
        "pair 2: gives the same output a.mp4 as pair 0; drop one, or name its `output`",
    )
    with pytest.raises(PairListError, match=r"^mine: line 7: .*; pair 2: "):
        check_pairs(pairs, source="mine")


# Files


def test_files_that_are_not_there(tmp_path):
    touch(tmp_path, "v.mp4", "a.wav")
    (tmp_path / "frames").mkdir()
    video, audio, frames, none = (tmp_path / name for name in ("v.mp4", "a.wav", "frames", "none"))
    os.mkfifo(tmp_path / "pipe")
    pairs = [
        Pair(video, audio, "whole.mp4"),
        Pair(video, None, "own audio.mp4"),
        Pair(frames, audio, "images.mp4"),
        Pair(frames, None, "images alone.mp4"),
        Pair(video, frames, "no audio.mp4"),
        Pair(none, audio, "no video.mp4"),
        Pair(none / "v", none, "nothing.mp4"),
        Pair(Path("\0"), tmp_path / "pipe", "neither.mp4"),
    ]
    gone = "cannot be read: No such file or directory"
    assert missing_files(iter(pairs)) == {
        "images alone.mp4": f"{frames}: is a folder, not a file",
        "no audio.mp4": f"{frames}: is a folder, not a file",
        "no video.mp4": f"{none}: {gone}",
        "nothing.mp4": f"{none / 'v'}: {gone}; {none}: {gone}",
        "neither.mp4": f"\0: cannot be read: embedded null byte; {tmp_path / 'pipe'}: is not a file",
    }


def test_every_path_is_looked_at_once(tmp_path, monkeypatch):
    touch(tmp_path, "v.mp4", "a.wav")
    seen, look = [], os.stat

    def counting(path, *args, **options):
        seen.append(Path(path).name)
        return look(path, *args, **options)

    pairs = [Pair(tmp_path / "v.mp4", tmp_path / name, f"{n}.mp4") for n, name in enumerate(["a.wav", "v.mp4"] * 9)]
    monkeypatch.setattr(os, "stat", counting)
    assert missing_files(pairs) == {}
    monkeypatch.undo()
    assert sorted(seen) == ["a.wav", "v.mp4"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_without_permission(tmp_path):
    touch(tmp_path, "v.mp4")
    (tmp_path / "v.mp4").chmod(0)
    reason = f"{tmp_path / 'v.mp4'}: cannot be read: check its rights"
    assert missing_files([Pair(tmp_path / "v.mp4", None, "o.mp4")]) == {"o.mp4": reason}
