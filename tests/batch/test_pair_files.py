import os
from collections import Counter
from pathlib import Path

import pytest

from diff2lip_diffusers.batch.pair_files import inspect_files, missing_files
from diff2lip_diffusers.batch.pairs import Pair


def look(pairs) -> dict[str, str]:
    """Why pairs cannot be made, by their output."""
    return missing_files(pairs, inspect_files(pairs))


def write(path: Path, size: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    return path


def test_sizes_of_files(tmp_path):
    video, audio, empty = (write(tmp_path / f"{size}.mp4", size) for size in (5000, 70, 0))
    pairs = [Pair(video, audio, "o1.mp4"), Pair(audio, None, "o2.mp4"), Pair(video, empty, "o3.mp4")]
    assert inspect_files(pairs) == {video: (5000, ""), audio: (70, ""), empty: (0, "")}
    assert look(pairs) == {}


def test_links_count_as_what_they_lead_to(tmp_path):
    video, link, dangling = write(tmp_path / "v.mp4", 300), tmp_path / "link.mp4", tmp_path / "dangling.mp4"
    link.symlink_to(video)
    dangling.symlink_to(tmp_path / "gone.mp4")
    looks = inspect_files([Pair(link, dangling, "o.mp4")])
    assert looks == {link: (300, ""), dangling: (0, f"{dangling}: cannot be read: No such file or directory")}


def test_a_folder_of_images_is_a_video_where_the_sound_comes_from_elsewhere(tmp_path):
    images, audio = write(tmp_path / "images" / "0.png", 900).parent, write(tmp_path / "a.wav", 70)
    reason = f"{images}: is a folder, not a file"
    assert inspect_files([Pair(images, audio, "o.mp4")]) == {images: (0, reason), audio: (70, "")}
    assert look([Pair(images, audio, "both.mp4"), Pair(images, None, "alone.mp4")]) == {"alone.mp4": reason}
    assert look([Pair(audio, images, "sound.mp4")]) == {"sound.mp4": reason}


def test_each_pair_is_told_all_that_it_lacks_in_one_line(tmp_path):
    video, none, pipe = write(tmp_path / "v.mp4", 1), tmp_path / "none", tmp_path / "pipe"
    os.mkfifo(pipe)
    pairs = [
        Pair(video, None, "whole.mp4"),
        Pair(none, video, "no video.mp4"),
        Pair(video, none, "no audio.mp4"),
        Pair(none / "v", pipe, "neither.mp4"),
        Pair(Path("\0"), None, "no name.mp4"),
        Pair(tmp_path / ("x" * 300), None, "long.mp4"),
    ]
    gone = "cannot be read: No such file or directory"
    assert look(pairs) == {
        "no video.mp4": f"{none}: {gone}",
        "no audio.mp4": f"{none}: {gone}",
        "neither.mp4": f"{none / 'v'}: {gone}; {pipe}: is not a file",
        "no name.mp4": "\0: cannot be read: embedded null byte",
        "long.mp4": f"{tmp_path / ('x' * 300)}: cannot be read: File name too long",
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_without_permission(tmp_path):
    video = write(tmp_path / "v.mp4", 5)
    video.chmod(0)
    reason = f"{video}: cannot be read: check its rights"
    assert inspect_files([Pair(video, None, "o.mp4")]) == {video: (5, reason)}
    assert look([Pair(video, None, "o.mp4")]) == {"o.mp4": reason}


def test_every_path_is_looked_at_once(tmp_path, monkeypatch):
    names = ["v.mp4", "w.mp4", "a.wav"]
    for name in names:
        write(tmp_path / name, 1)
    seen, stat = Counter(), os.stat

    def counting(path, *args, **options):
        seen[path] += 1
        return stat(path, *args, **options)

    pairs = [Pair(tmp_path / names[index % 2], tmp_path / "a.wav", f"{index}.mp4") for index in range(50)]
    pairs += [Pair(tmp_path / "none.mp4", None, f"none{index}.mp4") for index in range(50)]
    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", counting)
        assert len(look(pairs)) == 50
    assert {path: times for path, times in seen.items() if tmp_path in Path(path).parents} == {
        tmp_path / name: 1 for name in [*names, "none.mp4"]
    }


def test_28_000_pairs(tmp_path):
    video, audios = write(tmp_path / "v.mp4", 11), [tmp_path / f"{index}.wav" for index in range(28_000)]
    for index, audio in enumerate(audios[:1000]):
        write(audio, index)
    pairs = [Pair(video, audio, f"{audio.stem}.mp4") for audio in audios]
    looks = inspect_files(iter(pairs))
    assert list(looks) == [video, *audios]
    assert [looks[audio][0] for audio in audios] == [*range(1000), *[0] * 27_000]
    assert list(missing_files(pairs, looks)) == [pair.output for pair in pairs[1000:]]
