import os
import pickle
import subprocess
import sys
import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from diff2lip_diffusers import cli, output_paths
from diff2lip_diffusers.cli import options as cli_options
from diff2lip_diffusers.cli import sync
from diff2lip_diffusers.media.reader import probe_video
from diff2lip_diffusers.media.video_writer import VideoWriter
from diff2lip_diffusers.original_checkpoint import components_to_original
from diff2lip_diffusers.portable.audio_encoder_diff2lip import Diff2LipAudioEncoder
from diff2lip_diffusers.portable.unet_diff2lip import Diff2LipUNet2DConditionModel

FRAMES, SIDE_PX = 8, 64
FACE = "16,8,48,56"
HEAD_CHANNELS = ["--head-channels", "16"]
AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


# A folder with one of each


def write_wav(path: Path, seconds: float) -> None:
    time_s = np.arange(round(16000 * seconds)) / 16000
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes((8000 * np.sin(1000 * time_s)).astype("<i2").tobytes())


def write_video(path: Path, audio: Path | None) -> None:
    rows, columns = np.mgrid[0:SIDE_PX, 0:SIDE_PX]
    with VideoWriter(path, width=SIDE_PX, height=SIDE_PX, fps=25, audio=audio) as writer:
        for index in range(FRAMES):
            writer.write(np.stack([rows * 2, columns * 2, rows + columns + index], axis=-1).astype(np.uint8))


def small_state_dict() -> dict[str, torch.Tensor]:
    """The original's layout of a model that is as small as it can be."""
    torch.manual_seed(0)
    unet = Diff2LipUNet2DConditionModel(
        sample_size=32,
        block_out_channels=(32, 32),
        down_block_types=("AttnDownBlock2D",) * 2,
        layers_per_block=1,
        attention_head_dim=16,
    )
    audio_encoder = Diff2LipAudioEncoder(embed_dim=unet.config.time_embedding_dim)
    return components_to_original(unet, audio_encoder)


def write_checkpoints(folder: Path) -> None:
    state_dict = small_state_dict()
    torch.save(state_dict, folder / "model.pt")
    whole = (folder / "model.pt").read_bytes()
    for name, contents in {"empty": b"", "truncated": whole[: len(whole) // 2], "text": b"not a checkpoint"}.items():
        (folder / f"{name}.pt").write_bytes(contents)
    without, *rest = state_dict
    others = {
        "other": {"weight": torch.zeros(3)},
        "list": [torch.zeros(3)],
        "nested": {"state_dict": state_dict},
        "lacks": {name: state_dict[name] for name in rest},
        "more": state_dict | {"ema.decay": torch.zeros(1)},
        "shape": state_dict | {without: state_dict[without][:, :3]},
        "class": {"weight": Path("x")},
    }
    for name, contents in others.items():
        torch.save(contents, folder / f"{name}.pt")
    (folder / "code.pt").write_bytes(pickle.dumps({"weight": Executed()}))


class Executed:
    """Code in a pickle, which must not run."""

    def __reduce__(self):
        return os.mkdir, ("executed",)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """Inputs of every kind, and a model folder that the program itself converted."""
    folder = tmp_path_factory.mktemp("world")
    write_wav(folder / "speech.wav", 0.5)
    write_wav(folder / "short.wav", 0.15)
    write_video(folder / "face.mp4", folder / "speech.wav")
    write_video(folder / "silent.mp4", None)
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("This is no video.\n" * 50)
    (folder / "text.wav").write_text("This is no sound.\n" * 50)
    (folder / "truncated.mp4").write_bytes((folder / "face.mp4").read_bytes()[:1000])
    (folder / "no_model").mkdir()
    (folder / "broken_model").mkdir()
    (folder / "broken_model" / "model_index.json").write_text("{")
    (folder / "a folder.mp4").mkdir()
    write_checkpoints(folder)
    assert cli.main(["convert", str(folder / "model.pt"), "--output", str(folder / "model"), *HEAD_CHANNELS]) == 0
    return folder


@pytest.fixture
def in_world(world, monkeypatch) -> Path:
    """Makes `world` the current folder, so that file names in commands are short."""
    monkeypatch.chdir(world)
    return world


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Everything in a folder, also what is hidden, with sizes and times of change."""
    found = ((path, path.stat()) for path in folder.rglob("*"))
    return {str(path.relative_to(folder)): (stat.st_size, stat.st_mtime_ns) for path, stat in found if path.is_file()}


def run(arguments: list[str]) -> int:
    try:
        return cli.main(arguments)
    except SystemExit as stop:
        return stop.code


def sync_arguments(**options: str | None) -> list[str]:
    """A good command, changed by `options`; None leaves one out."""
    good = {"model": "model", "video": "face.mp4", "audio": "speech.wav", "output": "out.mp4"}
    good |= {"box": FACE, "steps": "1", "device": "cpu", "dtype": "fp32"}
    pairs = {name.replace("_", "-"): value for name, value in (good | options).items() if value is not None}
    return ["sync", *(part for name, value in pairs.items() for part in (f"--{name}", value))]


# One line, no file


def assert_one_line(arguments: list[str], code: int, words: list[str], folder: Path, capfd) -> None:
    before = listing(folder), sorted(folder.rglob("*"))
    capfd.readouterr()
    assert run(arguments) == code
    out, err = capfd.readouterr()
    assert out == ""
    assert err.endswith("\n") and err.count("\n") == 1, err
    assert err.startswith("diff2lip")
    assert "Traceback" not in err and "Error" not in err
    for word in words:
        assert word in err
    assert (listing(folder), sorted(folder.rglob("*"))) == before


FAILING_SYNC = {
    "missing video": ({"video": "none.mp4"}, ["none.mp4", "no such file", "check the path"]),
    "folder as video": ({"video": "no_model"}, ["no_model", "folder without images", "pass a video file"]),
    "empty video": ({"video": "empty.mp4"}, ["empty.mp4", "empty", "again"]),
    "text as video": ({"video": "text.mp4"}, ["text.mp4", "video"]),
    "sound as video": ({"video": "speech.wav"}, ["speech.wav", "no video stream", "pass a file"]),
    "truncated video": ({"video": "truncated.mp4"}, ["truncated.mp4", "again"]),
    "no face": ({"box": None}, ["no face", "--box"]),
    "short sound": ({"audio": "short.wav"}, ["0.150 s", "0.200 s", "longer"]),
    "missing sound": ({"audio": "none.wav"}, ["none.wav", "no such file"]),
    "text as sound": ({"audio": "text.wav"}, ["text.wav", "audio"]),
    "silent sound file": ({"audio": "silent.mp4"}, ["silent.mp4", "no audio stream", "pass a file"]),
    "silent video": ({"video": "silent.mp4", "audio": None}, ["silent.mp4", "no audio stream", "pass a file"]),
    "missing output folder": ({"output": "none/out.mp4"}, ["none/out.mp4", "folder", "create"]),
    "output is a folder": ({"output": "a folder.mp4"}, ["a folder.mp4", "folder", "name a file"]),
    "output has no known suffix": ({"output": "out.avi"}, ["out.avi", ".mp4", ".mkv"]),
    "output is the video": ({"output": "face.mp4"}, ["face.mp4", "input", "another name"]),
    "output is the sound": ({"audio": "silent.mp4", "output": "silent.mp4"}, ["silent.mp4", "input", "another name"]),
    "output under a file": ({"output": "speech.wav/out.mp4"}, ["speech.wav/out.mp4", "cannot be written"]),
    "model without index": ({"model": "no_model"}, ["no_model", "model_index.json", "diff2lip convert"]),
    "missing model folder": ({"model": "./none/model/folder"}, ["none/model/folder", "no such model folder"]),
    "broken model": ({"model": "broken_model"}, ["broken_model/model_index.json", "cannot be read as settings"]),
    "checkpoint as model": ({"model": "model.pt"}, ["model.pt", "is a file", "diff2lip convert"]),
    "unknown device": ({"device": "toaster"}, ["toaster", "device"]),
    "box outside": ({"box": "100,100,200,200"}, ["box", "100", "64x64"]),
    "box too small": ({"box": "0,0,4,60"}, ["box", "8 pixels"]),
}


@pytest.mark.parametrize("case", FAILING_SYNC)
def test_bad_input_ends_in_one_line_and_leaves_no_file(in_world, capfd, case):
    options, words = FAILING_SYNC[case]
    assert_one_line(sync_arguments(**options), 1, words, in_world, capfd)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is such a device")
def test_a_device_that_is_not_there(in_world, capfd):
    assert_one_line(sync_arguments(device="cuda"), 1, ["cuda"], in_world, capfd)


def test_a_disk_that_refuses(in_world, capfd, monkeypatch):
    def refuse(target):
        raise PermissionError(13, "Permission denied", str(target))

    monkeypatch.setattr(output_paths, "hidden_folder_beside", refuse)
    assert_one_line(sync_arguments(), 1, ["out.mp4", "Permission denied", "choose another folder"], in_world, capfd)


@pytest.mark.skipif(AS_ROOT, reason="root may write everywhere")
def test_a_folder_that_must_not_be_written(in_world, tmp_path, capfd):
    tmp_path.chmod(0o500)
    assert_one_line(sync_arguments(output=str(tmp_path / "out.mp4")), 1, ["out.mp4", "cannot"], in_world, capfd)
    assert not list(tmp_path.iterdir())


def test_reproduce_mode_names_the_frame_without_a_face(in_world, capfd):
    arguments = [*sync_arguments(box=None), "--reproduce"]
    assert_one_line(arguments, 1, ["no face", "frame 0", "--box"], in_world, capfd)


FAILING_SYNC_USAGE = {
    "unknown scheduler": ({"scheduler": "magic"}, ["--scheduler", "magic", "ddim"]),
    "unknown detector": ({"box": None, "detector": "eyes"}, ["--detector", "eyes", "mtcnn"]),
    "unknown mode": ({"mode": "both"}, ["--mode", "both", "cross"]),
    "unknown dtype": ({"dtype": "fp8"}, ["--dtype", "fp8", "fp16"]),
    "no steps": ({"steps": "0"}, ["--steps", "'0'", "above 0"]),
    "half steps": ({"steps": "2.5"}, ["--steps", "2.5", "whole number"]),
    "no batch": ({"batch_size": "0"}, ["--batch-size", "above 0"]),
    "eta": ({"eta": "1.5"}, ["--eta", "1.5", "[0, 1]"]),
    "eta nan": ({"eta": "nan"}, ["--eta", "nan", "[0, 1]"]),
    "crf": ({"crf": "52"}, ["--crf", "52", "51"]),
    "crf by its old name": ({"quality": "52"}, ["--quality", "52", "51"]),
    "length": ({"length": "forever"}, ["--length", "forever", "longest"]),
    "extend": ({"extend": "backwards"}, ["--extend", "backwards", "pingpong"]),
    "codec": ({"codec": "vhs"}, ["--codec", "vhs", "prores"]),
    "face": ({"face": "-1"}, ["--face", "-1", "point"]),
    "stride": ({"detection_stride": "0"}, ["--detection-stride", "0", "above 0"]),
    "size": ({"detection_size": "8"}, ["--detection-size", "8", "64"]),
    "seed in words": ({"seed": "seven"}, ["--seed", "seven", "whole number"]),
    "seed too large": ({"seed": str(2**64)}, ["--seed", str(2**64), "64 bits"]),
    **{f"fps {text}": ({"fps": text}, ["--fps", text, "such as 25"]) for text in ("x", "0", "1/0", "nan", "9e9", "")},
    **{
        f"box {text}": ({"box": text}, ["--box", text, "x1,y1,x2,y2"]) for text in ("1,2,3", "a,b,c,d", "9,9,1,1", "²")
    },
    "box dashes": ({"box": "1,--2,3,4"}, ["--box", "x1,y1,x2,y2"]),
    "pads": ({"pads": "1,2,3"}, ["--pads", "top,bottom,left,right"]),
    "no video": ({"video": None}, ["--video", "required"]),
    "no model": ({"model": None}, ["--model", "required"]),
    "no output": ({"output": None}, ["--output", "required"]),
}


@pytest.mark.parametrize("case", FAILING_SYNC_USAGE)
def test_a_wrong_command_ends_in_one_line_with_code_2(in_world, capfd, case):
    options, words = FAILING_SYNC_USAGE[case]
    assert_one_line(sync_arguments(**options), 2, [*words, "--help"], in_world, capfd)


def test_a_box_and_a_crop_exclude_each_other(in_world, capfd):
    arguments = [*sync_arguments(), "--voxceleb2-crop"]
    assert_one_line(arguments, 2, ["--voxceleb2-crop", "--box"], in_world, capfd)


@pytest.mark.parametrize("arguments", [[], ["dance"], ["sync", "--nonsense"], ["convert"], ["demo", "extra"]])
def test_wrong_commands(in_world, capfd, arguments):
    assert_one_line(arguments, 2, ["--help"], in_world, capfd)


FAILING_CONVERT = {
    "missing": ["none.pt", "no such checkpoint file"],
    "no_model": ["no_model", "directory"],
    "empty": ["empty.pt", "truncated"],
    "truncated": ["truncated.pt", "truncated"],
    "text": ["text.pt", "not a checkpoint"],
    "other": ["other.pt", "not a Diff2Lip checkpoint", "time_embed.0.weight"],
    "list": ["list.pt", "dict of tensors"],
    "nested": ["nested.pt", "state_dict", "flat dict"],
    "lacks": ["lacks.pt", "not a Diff2Lip checkpoint", "missing"],
    "more": ["more.pt", "not a Diff2Lip checkpoint", "ema.decay"],
    "shape": ["shape.pt", "not a Diff2Lip checkpoint", "shape"],
    "class": ["class.pt", "more than tensors"],
    "code": ["code.pt", "more than tensors"],
}


@pytest.mark.parametrize("case", FAILING_CONVERT)
def test_a_wrong_checkpoint_ends_in_one_line_and_leaves_no_folder(in_world, capfd, case):
    checkpoint, *_ = words = FAILING_CONVERT[case]
    assert_one_line(["convert", checkpoint, "--output", "new/folder", *HEAD_CHANNELS], 1, words, in_world, capfd)
    assert not Path("executed").exists()


@pytest.mark.parametrize(
    "options, code, words",
    [
        (["--output", "speech.wav", *HEAD_CHANNELS], 1, ["speech.wav", "is a file", "name a folder"]),
        (["--output", "speech.wav/model", *HEAD_CHANNELS], 1, ["speech.wav/model", "cannot be written"]),
        (["--output", "new"], 1, ["head_channels", "64", "does not divide"]),
        (["--output", "new", "--head-channels", "0"], 2, ["--head-channels", "above 0"]),
        (["--output", "new", "--dtype", "int8"], 2, ["--dtype", "int8"]),
        ([], 2, ["--output"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_ways_to_convert(in_world, capfd, options, code, words):
    assert_one_line(["convert", "model.pt", *options], code, words, in_world, capfd)


@pytest.mark.parametrize(
    "output, words",
    [("none/demo.mp4", ["folder", "create"]), ("a folder.mp4", ["name a file"]), ("demo.gif", [".mp4"])],
)
def test_a_demo_that_cannot_be_written(in_world, capfd, output, words):
    assert_one_line(["demo", "--output", output], 1, [output, *words], in_world, capfd)


@pytest.mark.parametrize(
    "error, code, said",
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 1, "MemoryError"),
        (torch.OutOfMemoryError("CUDA out of memory.\nTried"), 1, "CUDA out of memory. Tried"),
        (OSError(28, "No space left on device"), 1, "No space left on device"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_what_stops_a_job_is_said_in_one_line(in_world, capfd, monkeypatch, error, code, said):
    def stop(*_args, **_kwargs):
        raise error

    monkeypatch.setattr(sync, "sync_video", stop)
    assert run(sync_arguments()) == code
    out, err = capfd.readouterr()
    assert out == "" and err.count("\n") == 1 and said in err


def test_errors_of_the_program_itself_are_not_hidden(in_world, monkeypatch):
    def stop(*_args, **_kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr(sync, "sync_video", stop)
    with pytest.raises(ZeroDivisionError):
        run(sync_arguments())


# What works


def test_converting_writes_a_folder_with_card_and_licence(in_world, tmp_path, capfd):
    assert run(["convert", "model.pt", "--output", str(tmp_path / "new" / "model"), *HEAD_CHANNELS]) == 0
    out, err = capfd.readouterr()
    assert str(tmp_path / "new" / "model") in out and "CC BY-NC 4.0" in out and out.count("\n") == 1
    assert err == ""
    names = {path.name for path in (tmp_path / "new" / "model").iterdir()}
    assert {"model_index.json", "README.md", "LICENSE.txt", "unet", "audio_encoder", "scheduler"} <= names
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["model"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"audio": None},
        {"scheduler": "euler-ancestral", "steps": "2", "seed": "0", "batch_size": "3", "fps": "30000/1001"},
        {"box": None, "mode": "random"},
    ],
    ids=["plain", "own sound", "options", "reproduce"],
)
def test_syncing_with_a_converted_model(in_world, tmp_path, capfd, options):
    output = tmp_path / "out.mp4"
    flags = ["--reproduce", "--voxceleb2-crop"] if "mode" in options else []
    assert run([*sync_arguments(**options, output=str(output)), *flags]) == 0
    out, err = capfd.readouterr()
    frames = 10 if "fps" in options else FRAMES
    assert out.startswith(f"{output}: {frames} frames, 0.3") and out.count("\n") == 1
    assert err == ""
    assert probe_video(output).has_audio
    assert list(tmp_path.iterdir()) == [output]


def test_speech_that_is_left_out_is_said(in_world, tmp_path, capfd):
    write_wav(tmp_path / "long.wav", 2)
    assert run(sync_arguments(audio=str(tmp_path / "long.wav"), output=str(tmp_path / "out.mp4"))) == 0
    assert "1.68 s of speech left out (--length audio keeps it)" in capfd.readouterr().out


def test_every_option_arrives(in_world, monkeypatch):
    seen = {}

    def remember(_pipe, *_files, **options):
        seen.update(options)
        raise KeyboardInterrupt

    monkeypatch.setattr(sync, "sync_video", remember)
    numbers = {"steps": "3", "seed": "0", "eta": "0.5", "batch_size": "2", "fps": "29.97", "crf": "20"}
    numbers |= {"guidance_scale": "1.5", "guidance_rescale": "0.7"}
    words = {"mode": "random", "detector": "s3fd", "length": "longest", "extend": "loop", "codec": "hevc"}
    places = {"pads": "1,2,-3,4", "face": "10,20.5", "detections": "boxes", "box": None}
    search = {"detection_stride": "2", "detection_size": "320"}
    run([*sync_arguments(**numbers, **words, **places, **search), "--no-mark"])
    seen.pop("on_progress")
    assert seen == {
        "num_inference_steps": 3,
        "seed": 0,
        "eta": 0.5,
        "guidance_scale": 1.5,
        "guidance_rescale": 0.7,
        "batch_size": 2,
        "fps": Fraction(2997, 100),
        "crf": 20,
        "mode": "random",
        "detector": "s3fd",
        "length": "longest",
        "extend": "loop",
        "codec": "hevc",
        "pads": (1, 2, -3, 4),
        "face": (10, 20.5),
        "detections": "boxes",
        "detection_stride": 2,
        "detection_size": 320,
        "mark": False,
    }
    seen.clear()
    run([*sync_arguments(), "--lossless", "--face", "2", "--reference", "best"])
    assert (seen["lossless"], seen["face"], seen["reference"]) == (True, 2, "best")
    seen.clear()
    run([*sync_arguments(), "--reference", "me.png"])
    assert seen["reference"] == Path("me.png")
    seen.clear()
    run(sync_arguments(quality="21"))
    assert seen["crf"] == 21 and "quality" not in seen
    seen.clear()
    run([*sync_arguments(box=None), "--voxceleb2-crop", "--reproduce"])
    assert (seen["voxceleb2_crop"], seen["reproduce"]) == (True, True)
    assert "lossless" not in seen and "mark" not in seen


@pytest.mark.parametrize(
    "options", [{"output": "none/out.mp4"}, {"output": "face.mp4"}, {"video": "none.mp4"}], ids=str
)
def test_a_wrong_file_name_does_not_cost_the_loading_of_a_model(in_world, monkeypatch, options):
    monkeypatch.setattr(cli_options, "load_pipeline", lambda *_args: pytest.fail("loaded"))
    assert run(sync_arguments(**options)) == 1


def test_an_existing_output_stays_when_a_job_fails(in_world, tmp_path, capfd):
    output = tmp_path / "out.mp4"
    output.write_bytes(b"precious")
    assert_one_line(sync_arguments(output=str(output), audio="short.wav"), 1, ["0.150 s"], tmp_path, capfd)
    assert output.read_bytes() == b"precious"


def test_version_and_help(capfd):
    assert run(["--version"]) == 0
    assert capfd.readouterr().out == "diff2lip-diffusers 0.1.0\n"
    for arguments in (["--help"], ["sync", "--help"], ["convert", "--help"], ["demo", "--help"]):
        assert run(arguments) == 0
        out, err = capfd.readouterr()
        assert "usage: diff2lip" in out and "--quality" not in out and err == ""


@pytest.mark.slow
def test_the_demo_runs_from_a_folder_of_its_own(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert run(["demo"]) == 0
    assert capfd.readouterr().out.startswith("demo.mp4: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo.mp4", "demo.png"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "options, code", [({}, 0), ({"video": "none.mp4"}, 1), ({"audio": "short.wav"}, 1), ({"steps": "0"}, 2)], ids=str
)
def test_as_a_program_of_its_own_nothing_else_is_said(in_world, tmp_path, options, code):
    """In another process also warnings and what libraries print at import and exit would show."""
    arguments = sync_arguments(**options, output=str(tmp_path / "out.mp4"))
    done = subprocess.run(
        [sys.executable, "-m", "diff2lip_diffusers", *arguments], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == code
    assert (done.stdout.count("\n"), done.stderr.count("\n")) == ((1, 0) if code == 0 else (0, 1))
