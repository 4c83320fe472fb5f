"""Content credentials: what the c2pa library itself reads from our outputs, and what damage does to them."""

import json
import re

import pytest
from helpers.face_videos import WOMAN, WOMAN_FACE, write_speech, write_video

c2pa = pytest.importorskip("c2pa")
pytest.importorskip("cryptography")
from helpers.certificates import write_signer  # noqa: E402

from diff2lip_diffusers import SyncOptions, sync_video  # noqa: E402
from diff2lip_diffusers.errors import Diff2LipError, MediaError  # noqa: E402
from diff2lip_diffusers.media.reader import read_rgb  # noqa: E402
from diff2lip_diffusers.provenance.credentials import MADE_WITH_AI, Edit, Signer, read_credentials  # noqa: E402

BOX = (WOMAN_FACE.x1, WOMAN_FACE.y1, WOMAN_FACE.x2, WOMAN_FACE.y2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("signed")
    write_video(folder / "face.mp4", [WOMAN] * 3)
    write_speech(folder / "speech.wav", 0.4)
    write_signer(folder / "signer.pem")
    return folder


def synced(pipe, folder, name, **options):
    output = folder / name
    settings = {"num_inference_steps": 1, "box": BOX, **options}
    sync_video(pipe, folder / "face.mp4", folder / "speech.wav", output, **settings)
    return output


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_the_library_reads_what_was_signed(small_pipe, folder, suffix):
    output = synced(small_pipe, folder, f"out{suffix}", credentials=folder / "signer.pem")
    with c2pa.Reader(str(output)) as reader:
        store, state = json.loads(reader.json()), reader.get_validation_state()
    assert state == "Valid"
    manifest = store["manifests"][store["active_manifest"]]
    (actions,) = [each for each in manifest["assertions"] if each["label"].startswith("c2pa.actions")]
    opened, edited = actions["data"]["actions"]
    assert opened["action"] == "c2pa.opened" and edited["action"] == "c2pa.edited"
    assert edited["digitalSourceType"] == MADE_WITH_AI
    assert edited["parameters"]["model"] and edited["softwareAgent"]["name"] == "diff2lip-diffusers"
    related = {each["title"]: each["relationship"] for each in manifest["ingredients"]}
    assert related == {"face.mp4": "parentOf", "speech.wav": "inputTo"}
    assert str(folder) not in json.dumps(store)
    plain = synced(small_pipe, folder, f"plain{suffix}")
    assert [frame.tobytes() for frame in read_rgb(output)] == [frame.tobytes() for frame in read_rgb(plain)]
    assert read_credentials(plain).state == "none"
    assert {path.name for path in folder.iterdir() if path.name.startswith(".")} == set()


def test_one_changed_byte_makes_it_invalid(small_pipe, folder):
    output = synced(small_pipe, folder, "changed.mp4", credentials=folder / "signer.pem")
    found = read_credentials(output)
    assert (found.state, found.signer, found.ingredients) == ("valid", "Test signer", ("face.mp4", "speech.wav"))
    content = bytearray(output.read_bytes())
    content[content.index(b"mdat") + 100] ^= 1
    output.write_bytes(content)
    with c2pa.Reader(str(output)) as reader:
        assert reader.get_validation_state() == "Invalid"
    assert read_credentials(output).state == "invalid"
    assert "assertion.bmffHash.mismatch" in read_credentials(output).problems


def test_another_kind_of_key_signs_as_well(folder):
    video = write_video(folder / "ed.mp4", [WOMAN] * 2)
    frames = folder / "frames.mkv"  # a source in a format that C2PA does not know
    frames.write_bytes(b"1")
    Signer(write_signer(folder / "ed.pem", "ed25519")).sign(video, "ed.mp4", Edit("model", frames, None))
    found = read_credentials(video)
    assert (found.state, found.model, found.ingredients) == ("valid", "model", ("frames.mkv",))


def test_files_that_cannot_sign_are_one_line(folder):
    whole = (folder / "signer.pem").read_text()
    key = whole[: whole.index("-----BEGIN CERT")]
    other = write_signer(folder / "other.pem").read_text()
    swapped = key + other[other.index("-----BEGIN CERT") :]
    cases = {"empty": "", "key": key, "chain": whole[len(key) :], "two": key + whole, "binary": "\xff\xfe"}
    for name, text in cases.items():
        (folder / f"{name}.pem").write_text(text, encoding="utf-8")
        with pytest.raises(MediaError, match=re.escape(f"{name}.pem")):
            Signer(folder / f"{name}.pem")
    with pytest.raises(MediaError, match="missing.pem"):
        Signer(folder / "missing.pem")
    (folder / "swapped.pem").write_text(swapped)
    video = write_video(folder / "kept.mp4", [WOMAN] * 2)
    before = video.read_bytes()
    with pytest.raises(Diff2LipError, match="swapped.pem"):
        Signer(folder / "swapped.pem").sign(video, "kept.mp4", Edit("model", folder / "face.mp4", None))
    assert video.read_bytes() == before


@pytest.mark.parametrize("name", ["out.mkv", "frames"])
def test_outputs_without_a_place_for_credentials_are_refused_before_the_work(small_pipe, folder, name):
    with pytest.raises(MediaError, match=re.escape(f"{name}: cannot carry content credentials")):
        synced(small_pipe, folder, name, credentials=folder / "signer.pem")
    assert not (folder / name).exists()


def test_an_option_of_a_job():
    assert SyncOptions(credentials="a.pem").credentials is not None
