"""The source distribution holds all files of the repository: what its tests, documents and benchmarks need."""

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_sdist(sys.argv[1]))"


@pytest.mark.slow
@pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="compares with what git tracks")
def test_the_source_distribution_holds_all_files(tmp_path):
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    tracked = {name for name in listed.stdout.split("\0") if name and (REPOSITORY / name).is_file()}
    for name in tracked:  # the build writes beside the files
        (tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REPOSITORY / name, tmp_path / "source" / name)
    subprocess.run([sys.executable, "-c", BUILD, str(tmp_path)], cwd=tmp_path / "source", check=True, timeout=300)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        held = {name.partition("/")[2]: packed.extractfile(name) for name in packed.getnames()}
        assert tracked - held.keys() == set()
        for name in ("tests/data/mel.npz", "diff2lip_diffusers/demo/assets/face.mp4"):
            assert held[name].read() == (REPOSITORY / name).read_bytes()
