"""Files of the page: deleted when they are old, served only from one folder."""

import time

import pytest

from diff2lip_diffusers.app.temporary_files import TemporaryFiles
from diff2lip_diffusers.errors import Diff2LipError

HOUR_S = 3600


@pytest.fixture
def files(tmp_path):
    files = TemporaryFiles(HOUR_S, tmp_path)
    yield files
    files.close()


def test_files_are_deleted_after_an_hour_except_those_in_use(files):
    upload = files.folder / "hash" / "face.mp4"
    upload.parent.mkdir()
    upload.write_bytes(b"12345")
    done, working = files.new_job_folder(), files.new_job_folder()
    (done / "result.mp4").write_bytes(b"123")
    files.release(done, keep=True)
    assert files.size_bytes() == 8
    files.sweep(time.time() + HOUR_S - 60)
    assert upload.exists() and done.exists()
    files.sweep(time.time() + HOUR_S + 60)
    assert not upload.parent.exists() and not done.exists() and working.exists()
    files.release(working, keep=False)
    assert not working.exists() and files.size_bytes() == 0


def test_a_job_does_not_stay_longer_because_others_with_the_same_upload_go(files, tmp_path):
    upload = tmp_path / "face.mp4"
    upload.write_bytes(b"12345")
    first, second = files.new_job_folder(), files.new_job_folder()
    for folder in (first, second):
        (folder / "video.mp4").hardlink_to(upload)
        files.release(folder, keep=True)
    released_s = time.time()
    time.sleep(0.2)
    files.release(first, keep=False)
    assert (second / "video.mp4").stat().st_ctime > released_s
    files.sweep(released_s + HOUR_S)
    assert not second.exists()


def test_an_age_of_a_second_deletes_by_itself(tmp_path):
    files = TemporaryFiles(1, tmp_path)
    (files.folder / "upload").write_bytes(b"1")
    end_s = time.monotonic() + 60
    while (files.folder / "upload").exists():
        assert time.monotonic() < end_s
        time.sleep(0.1)
    files.close()
    assert list(tmp_path.iterdir()) == []


def test_only_uploads_are_accepted(files, tmp_path):
    outside = tmp_path / "secret.txt"
    outside.write_text("secret")
    upload = files.folder / "face.mp4"
    upload.write_bytes(b"1")
    files.check_upload(str(upload))
    (files.folder / "link.mp4").symlink_to(outside)
    for path in (outside, files.folder / ".." / "secret.txt", files.folder / "link.mp4", files.folder, "/etc/passwd"):
        with pytest.raises(Diff2LipError, match="upload it again"):
            files.check_upload(str(path))


def test_names_of_job_folders_cannot_be_guessed(files):
    names = {files.new_job_folder().name for _ in range(50)}
    assert len(names) == 50 and {len(name) for name in names} == {32}
