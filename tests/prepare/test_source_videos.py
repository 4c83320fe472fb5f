import pytest

from diff2lip_diffusers.errors import MediaError
from diff2lip_diffusers.prepare.source_videos import find_videos


@pytest.fixture
def folder(tmp_path):
    def make(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(name.encode())
        return tmp_path

    return make


def names(*sources):
    return [video.name for video in find_videos(sources)]


def test_folders_are_searched_for_videos_to_their_depth(folder):
    root = folder("b.mp4", "a.MOV", "notes.txt", "a.wav", "x/y/c.mkv", ".hidden.mp4", ".trash/d.mp4", "b.boxes.jsonl")
    videos = find_videos([root])
    assert [video.name for video in videos] == ["a", "b", "x-y-c"]
    assert [video.path for video in videos] == [root / "a.MOV", root / "b.mp4", root / "x" / "y" / "c.mkv"]
    assert [video.folder for video in videos] == [root.name, root.name, "x"]
    assert videos[1].boxes == root / "b.boxes.jsonl" and videos[1].speech_file == root / "b.wav"


def test_a_file_is_taken_whatever_its_suffix_and_once(folder):
    root = folder("talk.dat", "talk.mp4")
    assert names(root / "talk.dat") == ["talk"]
    assert names(root / "talk.mp4", root, root) == ["talk"]


def test_names_can_be_files_everywhere_and_are_unique(folder):
    root = folder("a b?.mp4", "ä/Ü.mp4", "x" * 200 + ".mp4", "a_b_.mp4", " .mp4")
    found = names(root)
    assert len({name.casefold() for name in found}) == 5
    assert "ä-Ü" in found and all(len(name) < 65 for name in found)
    assert sum(name.startswith("a_b_-") for name in found) == 2
    assert found == names(root)


def test_same_names_in_two_folders(folder):
    root = folder("one/talk.mp4", "two/talk.mp4", "two/other.mp4")
    first, second, other = sorted(names(root / "one", root / "two"), reverse=True)
    assert first != second and first.startswith("talk-") and second.startswith("talk-") and other == "other"
    assert names(root) == ["one-talk", "two-other", "two-talk"]


def test_what_is_not_there(folder):
    root = folder("sub/notes.txt")
    with pytest.raises(MediaError, match="sub: has no video; name another folder, or the files themselves"):
        find_videos([root / "sub"])
    with pytest.raises(MediaError, match="nowhere: no such file or folder; check the path"):
        find_videos([root / "nowhere"])


def test_a_stamp_changes_with_each_of_a_videos_files(folder):
    root = folder("a.mp4")
    (video,) = find_videos([root])
    stamps = [video.stamp()]
    for name in ("a.mp4", "a.wav", "a.boxes.jsonl"):
        (root / name).write_bytes(b"something else")
        stamps.append(video.stamp())
        assert stamps[-1] == video.stamp() != stamps[-2]
