import json

import pytest

from diff2lip_diffusers.batch.pair_lists import read_pairs
from diff2lip_diffusers.batch.pair_streams import PairStream, has_more_rows
from diff2lip_diffusers.errors import MediaError, PairListError
from diff2lip_diffusers.stores.remote_files import RemoteFiles
from diff2lip_diffusers.stores.urls import Url

ROWS = [{"audio": f"s/{index}.wav", "video": f"v/{index}.mp4", "seed": index} for index in range(9)]


@pytest.fixture(params=["csv", "jsonl", "parquet"])
def rows_file(request, tmp_path):
    """Writes rows as a list of each kind."""

    def write(rows):
        path = tmp_path / f"list.{request.param}"
        if request.param == "csv":
            lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
            path.write_text("\n".join(lines))
        elif request.param == "jsonl":
            path.write_text("\n".join(map(json.dumps, rows)))
        else:
            pyarrow = pytest.importorskip("pyarrow")
            from pyarrow import parquet

            parquet.write_table(pyarrow.Table.from_pylist(rows), path)
        return path

    return write


def test_a_stream_gives_the_pairs_of_the_list(rows_file):
    path = rows_file(ROWS)
    stream = PairStream(path)
    assert stream.check() == 9
    assert list(stream) == read_pairs(path)
    assert [len(window) for window in stream.windows(4)] == [4, 4, 1]
    assert [pair for window in stream.windows(4) for pair in window] == read_pairs(path)


def test_equal_outputs_are_found_across_windows(rows_file):
    path = rows_file([*ROWS, {**ROWS[3], "audio": "S/3.wav"}])
    with pytest.raises(PairListError) as whole:
        read_pairs(path)
    with pytest.raises(PairListError) as streamed:
        PairStream(path).check()
    assert streamed.value.problems == whole.value.problems
    assert "gives the same output" in streamed.value.problems[0]


def test_all_lines_are_checked_before_any_work(rows_file):
    path = rows_file([*ROWS, {**ROWS[0], "video": "../x.mp4"}, {**ROWS[0], "audio": "/x.wav"}][8:])
    with pytest.raises(PairListError) as caught:
        PairStream(path).check()
    assert [problem.partition(":")[0][-1] for problem in caught.value.problems] == (
        ["3", "4"] if path.suffix == ".csv" else ["2", "3"]
    )


@pytest.mark.parametrize("content", [b"", b"PAR1 but no more", b"PAR1\0\0\0\0PAR1"])
def test_a_damaged_parquet_is_one_line(tmp_path, content):
    pytest.importorskip("pyarrow")
    (tmp_path / "list.parquet").write_bytes(content)
    with pytest.raises(MediaError, match="list.parquet: is not a whole Parquet file; write or download it again$"):
        read_pairs(tmp_path / "list.parquet")


def test_a_parquet_with_other_columns(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"speaker": ["anna"]}), tmp_path / "list.parquet")
    with pytest.raises(PairListError, match="list.parquet: header: column 'speaker' is unknown"):
        read_pairs(tmp_path / "list.parquet")


def test_how_long_a_list_is(rows_file, tmp_path):
    path = rows_file(ROWS)
    assert [has_more_rows(path, RemoteFiles(), count) for count in (8, 9)] == [True, False]
    assert not has_more_rows(tmp_path, RemoteFiles())


def test_rows_name_urls(tmp_path):
    (tmp_path / "list.csv").write_text("video,audio,drive\ns3://b/f/a.mp4,gs://c/a.wav,d.wav\nf/b.mp4,,\n")
    first, second = read_pairs(tmp_path / "list.csv", "s3://root/data/")
    assert (first.video, first.audio) == (Url("s3://b/f/a.mp4"), Url("gs://c/a.wav"))
    assert (first.output, first.options["drive"]) == ("a_a.mp4", "s3://root/data/d.wav")
    assert (second.video, second.audio, second.output) == (Url("s3://root/data/f/b.mp4"), None, "f.b.mp4")


@pytest.mark.parametrize("name", ["file:///etc/passwd", "ftp://a/b.mp4", "zip://a::s3://b/c", "s3://b/../c.mp4"])
def test_rows_name_no_other_urls(tmp_path, name):
    (tmp_path / "list.csv").write_text(f"video\n{name}\n")
    with pytest.raises(PairListError, match="^[^\n]*line 2: "):
        read_pairs(tmp_path / "list.csv")
