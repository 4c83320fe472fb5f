import json

import pytest

from diff2lip_diffusers.errors import MediaError
from diff2lip_diffusers.evaluation.clips import Unmatched, find_clips


@pytest.fixture
def folders(tmp_path):
    """Two systems, references and speech; files are empty, as only names count here."""
    for name in ["ours/a.mp4", "ours/deep/b.mkv", "ours/.c.mp4", "ours/notes.txt", "other/a.avi", "other/d.mp4"]:
        write(tmp_path / name)
    for name in ["videos/a.mp4", "videos/deep/b.mp4", "speech/a.wav", "speech/d.mp3"]:
        write(tmp_path / name)
    return tmp_path


def write(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_files_are_matched_by_their_path_without_suffix(folders):
    systems = {"ours": folders / "ours", "other": folders / "other"}
    clips, unmatched = find_clips(systems, folders / "videos", folders / "speech")
    assert [clip.name for clip in clips] == ["a", "d", "deep/b"]
    a, d, b = clips
    assert a.outputs == {"ours": folders / "ours/a.mp4", "other": folders / "other/a.avi"}
    assert (a.reference, a.audio) == (folders / "videos/a.mp4", folders / "speech/a.wav")
    assert (d.reference, d.audio) == (None, folders / "speech/d.mp3")
    assert (b.outputs, b.audio) == ({"ours": folders / "ours/deep/b.mkv"}, None)
    assert unmatched == [
        Unmatched("d", "ours", f"no video of this name in {folders / 'ours'}"),
        Unmatched("d", "reference", f"no video of this name in {folders / 'videos'}"),
        Unmatched("deep/b", "other", f"no video of this name in {folders / 'other'}"),
    ]


def test_a_single_video_goes_with_files_of_any_name(folders):
    (clip,), unmatched = find_clips({"ours": folders / "ours/a.mp4"}, folders / "videos/deep/b.mp4")
    assert (clip.name, clip.reference, unmatched) == ("a", folders / "videos/deep/b.mp4", [])


def test_a_batch_names_source_and_speech_itself(folders):
    done = {"output": "x.mp4", "status": "done", "video": "/v.mp4", "audio": "/a.wav", "num_frames": 3}
    failed = {**done, "output": "y.mp4", "status": "failed", "error": "no face found"}
    lines = "".join(json.dumps(record) + "\n" for record in (done, failed))
    (clip,), unmatched = find_clips({"ours": write(folders / "out/results.jsonl", lines)})
    assert (clip.outputs["ours"], str(clip.reference), str(clip.speech_of("ours"))) == (
        folders / "out/x.mp4",
        "/v.mp4",
        "/a.wav",
    )
    assert clip.records == {"ours": done}
    assert unmatched == [Unmatched("y", "ours", "failed in the batch: no face found")]


@pytest.mark.parametrize(
    "name, text, words",
    [
        ("none", None, "no such file or folder; check the path"),
        ("empty", None, "holds no file that ends in"),
        ("results.jsonl", "{}\n", "line 1 is no record of a batch"),
        ("results.jsonl", "nonsense\n", "line 1 is no record of a batch"),
    ],
)
def test_bad_input_is_one_line(tmp_path, name, text, words):
    (tmp_path / "empty").mkdir()
    if text is not None:
        write(tmp_path / name, text)
    with pytest.raises(MediaError, match=words):
        find_clips({"ours": tmp_path / name})
