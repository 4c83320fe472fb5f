import os
from pathlib import Path

import pytest

from diff2lip_diffusers.errors import MediaError
from diff2lip_diffusers.output_paths import check_output_path


def test_impossible_targets_are_refused_with_one_line(tmp_path):
    source = tmp_path / "in.mp4"
    source.touch()
    (tmp_path / "plain").touch()
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "0.png").touch()
    (tmp_path / "link.mp4").symlink_to(source)
    cases = {
        "out.avi": "cannot be written as .avi; use .mp4, .m4v, .mov, .mkv, or no suffix",
        "plain": "is a file without suffix",
        "full": "is a folder with files in it",
        "folder.mp4": "is a folder",
        "in.mp4": "is an input as well",
        "./folder.mp4/../in.mp4": "is an input as well",
        "link.mp4": "is an input as well",
        "missing/out.mp4": "its folder does not exist",
        "in.mp4/out.mp4": "cannot be written",
    }
    for name, reason in cases.items():
        with pytest.raises(MediaError, match=reason) as caught:
            check_output_path(tmp_path / name, None, source)
        assert "\n" not in str(caught.value)
    (tmp_path / "empty").mkdir()
    for name in ("out.MP4", "new", "empty"):
        check_output_path(tmp_path / name, source)


@pytest.mark.skipif(not Path("/proc/self").is_dir() and os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    folder = Path("/proc/self") if os.geteuid() == 0 else tmp_path  # even root makes no folder in /proc
    with pytest.raises(MediaError, match="cannot be written"):
        check_output_path(folder / "out.mp4")
