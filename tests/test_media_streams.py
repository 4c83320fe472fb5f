import wave

import pytest

from diff2lip_diffusers.errors import MediaError
from diff2lip_diffusers.media import probe_video, read_frames


def write_silence(path):
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", None))
        out.writeframes(bytes(1600))


def test_unreadable_files_are_refused_with_one_line(tmp_path, capfd):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a video\n" * 50)
    (tmp_path / "text.txt").write_text("not a video\n" * 50)
    write_silence(tmp_path / "sound.wav")
    cases = {
        "missing.mp4": "no such file",
        ".": "is a folder",
        "empty.mp4": "is empty",
        "text.mp4": "is not a video or audio file",
        "text.txt": "is a text file",
        "sound.wav": "has no video stream",
    }
    for name, reason in cases.items():
        for read in (probe_video, lambda path: next(read_frames(path))):
            with pytest.raises(MediaError, match=reason) as caught:
                read(tmp_path / name)
            assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""
