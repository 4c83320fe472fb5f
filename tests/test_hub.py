"""Model folders, and uploads and downloads against a stand-in for the Hub on the loopback address.

huggingface_hub reads the address of the Hub when it is imported. So one separate process makes all calls to the Hub.
"""

import errno
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel
from diffusers.utils.logging import disable_progress_bar, enable_progress_bar
from helpers.hub_stand_in import HubStandIn
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

import diff2lip_diffusers
from diff2lip_diffusers import (
    CheckpointError,
    Diff2LipError,
    Diff2LipPipeline,
    MediaError,
)
from diff2lip_diffusers.hub import convert_checkpoint, load_pipeline, push_folder

HEAD_CHANNELS = 16
UNET_FILE = "unet/diffusion_pytorch_model.safetensors"
AUDIO_ENCODER_FILE = "audio_encoder/diffusion_pytorch_model.safetensors"
FILES = {
    "LICENSE.txt",
    "README.md",
    "audio_encoder/config.json",
    AUDIO_ENCODER_FILE,
    "feature_extractor/preprocessor_config.json",
    "model_index.json",
    "scheduler/scheduler_config.json",
    "unet/config.json",
    UNET_FILE,
}
CARD_FILES = ("README.md", "LICENSE.txt")
KEPT_IN_FP32 = ("conv_norm_out.", "conv_out.")

# Ends the process at the first connection beyond the loopback address; an exception could be caught on the way.
LOOPBACK_ONLY = """
import os, sys

def watch(event, args):
    host = None
    if event == "socket.getaddrinfo":
        host = args[0]
    elif event == "socket.connect" and isinstance(args[1], tuple):
        host = args[1][0]
    if host not in (None, "127.0.0.1"):
        os.write(2, f"{event} {host}".encode())
        os._exit(99)

sys.addaudithook(watch)
"""

NO_PROGRESS_BARS = """
from diffusers.utils.logging import disable_progress_bar
from huggingface_hub.utils import disable_progress_bars

disable_progress_bar()
disable_progress_bars()
"""

SESSION = """
model, downloaded, saved, report_file = sys.argv[1:]

# What a user writes to download a model.
import diff2lip_diffusers
from diffusers import DiffusionPipeline

pipe = DiffusionPipeline.from_pretrained("somebody/published")
assert type(pipe) is diff2lip_diffusers.Diff2LipPipeline
pipe.save_pretrained(downloaded)

import json

import huggingface_hub
from diffusers.utils.logging import set_verbosity_error

from diff2lip_diffusers.errors import Diff2LipError
from diff2lip_diffusers.hub import load_pipeline, push_folder

def error_of(call, *args, **options):
    try:
        call(*args, **options)
    except Diff2LipError as error:
        return str(error)

def load(name):
    return load_pipeline(name, device="cpu", dtype="fp32")

report = {"address": push_folder(model, "somebody/diff2lip", private=True)}
pipe = load("somebody/diff2lip")
pipe.save_pretrained(saved)
pipe.push_to_hub("somebody/copy", private=True)

report["unknown"] = error_of(load, "somebody/unknown")
report["empty"] = error_of(load, "somebody/public")
report["forbidden"] = error_of(push_folder, model, "else/diff2lip")
report["public"] = error_of(push_folder, model, "somebody/public", private=True)
report["name"] = error_of(push_folder, model, "no name")

try:
    huggingface_hub.HfApi(token=False).model_info("somebody/diff2lip")
    report["seen by a stranger"] = True
except huggingface_hub.errors.RepositoryNotFoundError:
    report["seen by a stranger"] = False

# Nobody listens there. The log says that the cache is used instead; this test does not check it.
huggingface_hub.logging.set_verbosity_error()
set_verbosity_error()
huggingface_hub.constants.ENDPOINT = "http://127.0.0.1:1"
report["unreachable load"] = error_of(load, "somebody/other")
report["unreachable push"] = error_of(push_folder, model, "somebody/diff2lip")
huggingface_hub.constants.HF_HUB_OFFLINE = True
report["offline"] = error_of(load, "somebody/diff2lip")
open(report_file, "w").write(json.dumps(report))
"""


@pytest.fixture(autouse=True, scope="module")
def quiet():
    disable_progress_bar()
    yield
    enable_progress_bar()


@pytest.fixture(scope="module")
def checkpoint(tiny_state_dict, tmp_path_factory):
    path = tmp_path_factory.mktemp("original") / "checkpoint.pt"
    torch.save(tiny_state_dict, path)
    return path


@pytest.fixture(scope="module")
def model(checkpoint, tmp_path_factory):
    """A converted model folder; tests only read it."""
    return convert_checkpoint(checkpoint, tmp_path_factory.mktemp("converted") / "model", HEAD_CHANNELS)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def weights_of(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if name.endswith(".safetensors")}


def assert_same_weights(component: torch.nn.Module, expected: torch.nn.Module, through=torch.float32) -> None:
    """Asserts equal weights, rounded to the dtype `through` except for those that stay in float32."""
    ours, theirs = component.state_dict(), expected.state_dict()
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        kept = name.startswith(KEPT_IN_FP32)
        assert torch.equal(tensor.float(), theirs[name].to(torch.float32 if kept else through).float()), name


def run_against(hub: HubStandIn, script: str, *args: Path) -> None:
    """Runs a script in a process that knows only this Hub; it must exit with 0 and print nothing."""
    foreign = ("HF_", "HUGGING", "DIFFUSERS_", "TRANSFORMERS_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    env = {name: value for name, value in env.items() if not name.lower().endswith("_proxy")}
    env |= {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(hub.folder.parent / "cache"),
        "HF_TOKEN": hub.token,
        "HF_HUB_DISABLE_XET": "1",  # the stand-in speaks the older protocol, Git LFS
        "PYTHONPATH": str(Path(diff2lip_diffusers.__file__).parents[1]),
    }
    command = [sys.executable, "-c", LOOPBACK_ONLY + NO_PROGRESS_BARS + script, *map(str, args)]
    done = subprocess.run(command, env=env, cwd=hub.folder.parent, capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# The Hub


@dataclass(frozen=True)
class Session:
    """The Hub after `SESSION`, what the script reported, and the files of the two pipelines that it saved."""

    hub: HubStandIn
    report: dict
    downloaded: dict[str, bytes]
    saved: dict[str, bytes]


@pytest.fixture(scope="module")
def session(model, tmp_path_factory) -> Session:
    folder = tmp_path_factory.mktemp("session")
    with HubStandIn(folder / "hub") as hub:
        hub.create_repo("somebody/published", source=model)
        hub.create_repo("somebody/public")
        run_against(hub, SESSION, model, folder / "downloaded", folder / "saved", folder / "report.json")
    report = json.loads((folder / "report.json").read_text())
    return Session(hub, report, files_of(folder / "downloaded"), files_of(folder / "saved"))


def test_diffusers_loads_from_the_hub_without_trusting_remote_code(session, model):
    assert session.hub.unanswered == []
    assert weights_of(session.downloaded) == weights_of(files_of(model))
    downloads = [line for line in session.hub.requests if line.startswith("GET /somebody/published/resolve/")]
    assert {line.split("/", 5)[-1] for line in downloads} == FILES - {"README.md", "LICENSE.txt"}
    assert len(downloads) == len(FILES) - 2


def test_push_folder_arrives_byte_for_byte_in_a_private_repository(session, model):
    hub, report = session.hub, session.report
    repo = hub.repos["somebody/diff2lip"]
    assert repo.files == files_of(model) | {".gitattributes": repo.files[".gitattributes"]}
    assert repo.private and report["seen by a stranger"] is False
    assert report["address"] == f"{hub.url}/somebody/diff2lip/commit/{repo.sha}"
    assert hub.unanswered == []


def test_what_was_pushed_loads_again(session, model):
    assert weights_of(session.saved) == weights_of(files_of(model))
    assert session.report["offline"] is None


def test_push_to_hub_of_a_pipeline_arrives_with_its_card_and_license(session, model):
    hub = session.hub
    repo = hub.repos["somebody/copy"]
    arrived = repo.files
    assert repo.private
    assert {name: arrived.pop(name) for name in CARD_FILES} == {name: files_of(model)[name] for name in CARD_FILES}
    assert arrived == session.saved | {".gitattributes": arrived[".gitattributes"]}
    assert sum(line.startswith("PUT /lfs/") for line in hub.requests) == 2  # the Hub has the weights already


NOT_HERE = "no such folder here, and from the Hub it"


@pytest.mark.parametrize(
    ("case", "start", "detail"),
    [
        (
            "unknown",
            f"somebody/unknown: {NOT_HERE} cannot be loaded as a pipeline: Repository Not Found",
            "authenticated",
        ),
        ("empty", f"somebody/public: {NOT_HERE} cannot be loaded as a pipeline: Entry Not Found", "model_index.json"),
        (
            "unreachable load",
            f"somebody/other: {NOT_HERE} cannot be loaded as a pipeline: ",
            "the Hub could not be reached",
        ),
        ("unreachable push", "somebody/diff2lip: not uploaded to the Hub: ", "refused"),
        ("forbidden", "else/diff2lip: not uploaded to the Hub: 403 Forbidden", 'under the namespace "else"'),
        ("public", "somebody/public: not uploaded", "the repository exists and is public"),
        ("name", "no name: not uploaded to the Hub: ", "Repo id must use alphanumeric chars"),
    ],
)
def test_what_the_hub_refuses_is_said_in_one_line(case, start, detail, session):
    error = session.report[case]
    assert error.startswith(start)
    assert detail in error and "\n" not in error and "Request ID" not in error


def test_a_refused_upload_leaves_nothing_on_the_hub(session):
    hub = session.hub
    assert hub.repos.keys() == {"somebody/published", "somebody/public", "somebody/diff2lip", "somebody/copy"}
    assert hub.repos["somebody/public"].files.keys() == {".gitattributes"}


# Conversion


def test_converted_folder_is_complete_and_loads(model, tiny_components):
    assert files_of(model).keys() == FILES
    package = Path(diff2lip_diffusers.__file__).parent
    assert (model / "README.md").read_bytes() == (package / "model_card.md").read_bytes()
    assert (model / "LICENSE.txt").read_bytes() == (package / "weights" / "CONVERTED_LICENSE.txt").read_bytes()
    index = json.loads((model / "model_index.json").read_text())
    assert index["_class_name"] == "Diff2LipPipeline"
    assert index["unet"] == ["diff2lip_diffusers", "Diff2LipUNet2DConditionModel"]
    pipe = load_pipeline(model, device="cpu", dtype="fp32")
    for loaded, original in zip((pipe.unet, pipe.audio_encoder), tiny_components, strict=True):
        assert_same_weights(loaded, original)
        assert not loaded.training


@pytest.mark.parametrize(("name", "dtype"), [("fp16", torch.float16), ("bf16", torch.bfloat16)])
def test_half_precision_keeps_the_end_of_the_unet_in_float32(name, dtype, checkpoint, tiny_components, tmp_path):
    folder = convert_checkpoint(checkpoint, tmp_path / "model", HEAD_CHANNELS, dtype=name)
    for tensor_name, tensor in load_file(folder / UNET_FILE).items():
        assert tensor.dtype == (torch.float32 if tensor_name.startswith(KEPT_IN_FP32) else dtype), tensor_name
    assert {tensor.dtype for tensor in load_file(folder / AUDIO_ENCODER_FILE).values()} == {dtype}
    pipe = load_pipeline(folder, device="cpu", dtype=name)
    assert (pipe.unet.conv_in.weight.dtype, pipe.unet.conv_out.weight.dtype) == (dtype, torch.float32)
    for loaded, original in zip((pipe.unet, pipe.audio_encoder), tiny_components, strict=True):
        assert_same_weights(loaded, original, through=dtype)


def test_a_variant_is_added_to_a_folder(model, checkpoint, tiny_components, tmp_path):
    folder = shutil.copytree(model, tmp_path / "model")
    convert_checkpoint(checkpoint, folder, HEAD_CHANNELS, dtype="fp16", variant="fp16")
    variant_files = {name.replace(".safetensors", ".fp16.safetensors") for name in (UNET_FILE, AUDIO_ENCODER_FILE)}
    assert files_of(folder).keys() == FILES | variant_files
    assert weights_of(files_of(model)).items() <= files_of(folder).items()
    full = load_pipeline(folder, device="cpu", dtype="fp32")
    half = load_pipeline(folder, device="cpu", dtype="fp32", variant="fp16")
    assert_same_weights(full.unet, tiny_components[0])
    assert_same_weights(half.unet, tiny_components[0], through=torch.float16)
    assert_same_weights(half.audio_encoder, tiny_components[1], through=torch.float16)
    with pytest.raises(Diff2LipError, match="variant=bf16.*no such modeling files"):
        load_pipeline(folder, device="cpu", variant="bf16")


def a_truncated_file(checkpoint: Path, bad: Path) -> None:
    bad.write_bytes(checkpoint.read_bytes()[:-1000])


def a_file_without_a_tensor(checkpoint: Path, bad: Path) -> None:
    state_dict = torch.load(checkpoint, weights_only=True)
    del state_dict["out.2.bias"]
    torch.save(state_dict, bad)


def another_model(checkpoint: Path, bad: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, bad)


@pytest.mark.parametrize("make_bad", [a_truncated_file, a_file_without_a_tensor, another_model])
def test_a_bad_checkpoint_leaves_nothing_behind(make_bad, checkpoint, tmp_path):
    make_bad(checkpoint, tmp_path / "bad.pt")
    with pytest.raises(CheckpointError):
        convert_checkpoint(tmp_path / "bad.pt", tmp_path / "model", HEAD_CHANNELS)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.pt"]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), SafetensorError("I/O error: No space left on device")]
)
def test_a_full_disk_leaves_the_folder_as_it_was(error, model, checkpoint, tmp_path, monkeypatch):
    def run_out_of_space(pipe, folder, **options):
        (Path(folder) / "model_index.json").write_text("{")
        raise error

    folder = shutil.copytree(model, tmp_path / "model")
    monkeypatch.setattr(Diff2LipPipeline, "save_pretrained", run_out_of_space)
    for output in (folder, tmp_path / "new"):
        reason = "cannot be written: .*No space left on device; choose another folder or make room"
        with pytest.raises(MediaError, match=f"^{output}: {reason}$"):
            convert_checkpoint(checkpoint, output, HEAD_CHANNELS)
    assert files_of(folder) == files_of(model)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_arguments_are_checked_before_the_work(model, tmp_path):
    missing = tmp_path / "checkpoint.pt"
    with pytest.raises(ValueError, match="`dtype` is 'fp8', known are fp32, fp16, bf16"):
        convert_checkpoint(missing, tmp_path / "model", dtype="fp8")
    with pytest.raises(MediaError, match="is a file; name a folder"):
        convert_checkpoint(missing, model / "README.md")
    with pytest.raises(MediaError, match="no such checkpoint file"):
        convert_checkpoint(missing, tmp_path / "model")
    with pytest.raises(ValueError, match="`dtype` is 'fp8'"):
        load_pipeline(tmp_path, dtype="fp8")


def test_an_output_below_a_file_is_one_line(model, checkpoint):
    output = model / "README.md" / "model"
    reason, cure = "(Not a directory|File exists)", "choose another folder or make room"
    with pytest.raises(MediaError, match=f"^{output}: cannot be written: {reason}; {cure}$"):
        convert_checkpoint(checkpoint, output, HEAD_CHANNELS)


def test_an_unfit_head_size_is_named(checkpoint, tmp_path):
    with pytest.raises(ValueError, match="`head_channels` is 64"):
        convert_checkpoint(checkpoint, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


# Loading


def without_index(folder: Path) -> Path:
    (folder / "model_index.json").unlink()
    return folder


def without_class(folder: Path) -> Path:
    (folder / "model_index.json").write_text("{}")
    return folder


def without_weights(folder: Path) -> Path:
    (folder / UNET_FILE).unlink()
    return folder


def with_truncated_weights(folder: Path) -> Path:
    (folder / UNET_FILE).write_bytes((folder / UNET_FILE).read_bytes()[:-1000])
    return folder


def without_a_tensor(folder: Path) -> Path:
    tensors = load_file(folder / UNET_FILE)
    del tensors["conv_out.weight"]
    save_file(tensors, folder / UNET_FILE, {"format": "pt"})
    return folder


def with_another_pipeline(folder: Path) -> Path:
    unet = UNet2DModel(16, block_out_channels=(32,), down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",))
    DDPMPipeline(unet, DDPMScheduler()).save_pretrained(folder / "ddpm")
    return folder / "ddpm"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: folder / "README.md", "is a file, expected a model folder"),
        (lambda folder: folder / "missing", "no such model folder"),
        (without_index, "has no model_index.json"),
        (without_class, "cannot be loaded as a pipeline"),
        (without_weights, "no file named diffusion_pytorch_model.safetensors"),
        (with_truncated_weights, "Unable to load weights"),
        (without_a_tensor, "weights are incomplete; missing conv_out.weight"),
        (with_another_pipeline, "holds a DDPMPipeline, expected a Diff2LipPipeline"),
    ],
)
def test_what_is_no_model_folder_is_said_in_one_line(spoil, message, model, tmp_path):
    path = spoil(shutil.copytree(model, tmp_path / "model"))
    with pytest.raises(Diff2LipError) as raised:
        load_pipeline(path, device="cpu")
    assert str(raised.value).startswith(f"{path}: ")
    assert message in str(raised.value) and "\n" not in str(raised.value)


def test_an_absent_device_is_said_in_one_line(model):
    with pytest.raises(Diff2LipError, match="^device 'xpu:99' cannot be used: [^\n]+$"):
        load_pipeline(model, device="xpu:99")


def test_only_a_model_folder_is_uploaded(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(MediaError, match="has no model_index.json"):
        push_folder(tmp_path, "somebody/diff2lip")
