"""Pipelines as folders and Hub repositories: convert a checkpoint into one, load one with fast defaults."""

import shutil
from pathlib import Path

import torch
from diffusers import DiffusionPipeline, ModelMixin
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, RevisionResolutionError
from huggingface_hub.utils import httpx

from .errors import CheckpointError, Diff2LipError, MediaError
from .feature_extraction_diff2lip import Diff2LipFeatureExtractor
from .original_checkpoint import NORM_GROUPS, components_from_original, load_original_checkpoint
from .output_paths import filling_folder
from .pipeline_diff2lip import Diff2LipPipeline
from .schedulers import original_scheduler

PACKAGE = Path(__file__).parent
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
# Refused and failed requests, and what the client makes of them.
HUB_ERRORS = (httpx.HTTPError, RevisionResolutionError, OSError, RuntimeError, ValueError)


def convert_checkpoint(
    checkpoint: str | Path,
    output: str | Path,
    head_channels: int = 64,
    dtype: str = "fp32",
    variant: str | None = None,
    norm_groups: int = NORM_GROUPS,
    sample_size: int | None = None,
) -> Path:
    """Writes an original checkpoint as a pipeline folder: safetensors, model card and licence.

    Files appear in `output` when all are complete; others that are there stay, say those of another variant.

    Args:
        checkpoint: the authors' file.
        output: folder to write.
        head_channels: channels per attention head, which the file does not tell.
        dtype: `"fp32"`, `"fp16"` or `"bf16"`, of the stored weights; normalisation and convolution at the end of the
            U-Net stay in float32.
        variant: name inside the weight files, as in `from_pretrained(variant=...)`.
        norm_groups: groups of every normalisation, which the file does not tell either.
        sample_size: height and width of the crops; see [`components_from_original`].

    Returns:
        `output`.

    Raises:
        CheckpointError: if the file is not a complete Diff2Lip checkpoint.
        MediaError: if the file is missing or the folder cannot be written.
        ValueError: if `dtype` is unknown, or `head_channels` or `norm_groups` does not fit the checkpoint.
    """
    torch_dtype = _torch_dtype(dtype)
    output = Path(output)
    if output.exists() and not output.is_dir():
        raise MediaError(output, "is a file; name a folder for the converted model")
    state_dict = load_original_checkpoint(checkpoint)
    try:
        unet, audio_encoder = components_from_original(state_dict, head_channels, sample_size, norm_groups)
    except CheckpointError as error:
        error.args = (f"{checkpoint}: {error}",)
        raise
    for component in (unet, audio_encoder):
        _cast(component, torch_dtype)
    pipe = Diff2LipPipeline(unet, audio_encoder, Diff2LipFeatureExtractor(), original_scheduler())
    save_with_card(pipe, output, variant)
    return output


def save_with_card(pipe: Diff2LipPipeline, output: str | Path, variant: str | None = None) -> None:
    """Saves a pipeline of converted weights with their model card and licence, each file whole or not at all."""
    with filling_folder(output) as folder:
        pipe.save_pretrained(folder, variant=variant)
        shutil.copyfile(PACKAGE / "model_card.md", folder / "README.md")
        shutil.copyfile(PACKAGE / "weights" / "CONVERTED_LICENSE.txt", folder / "LICENSE.txt")


def push_folder(folder: str | Path, repo_id: str, private: bool = False) -> str:
    """Uploads a pipeline folder to the Hub and returns the address of the commit.

    Raises:
        Diff2LipError: if the Hub refuses or cannot be reached, or `private` is asked of a repository that is public.
        MediaError: if there is no such pipeline folder.
    """
    if not (Path(folder) / "model_index.json").is_file():
        raise MediaError(folder, "has no model_index.json; write a model folder with: diff2lip convert")
    api = HfApi()
    try:
        repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        # The Hub leaves a repository that exists as it is.
        if private and not api.model_info(repo_id).private:
            raise Diff2LipError(f"{repo_id}: not uploaded, the repository exists and is public")
        return str(api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message="Upload Diff2LipPipeline"))
    except HUB_ERRORS as error:
        raise Diff2LipError(f"{repo_id}: not uploaded to the Hub: {_reason(error)}") from error


def load_pipeline(
    model: str | Path,
    device: str | None = None,
    dtype: str | None = None,
    variant: str | None = None,
) -> Diff2LipPipeline:
    """A pipeline from a folder or Hub repository, placed and set up to run fast on this machine.

    Args:
        model: folder, or repository id.
        device: as torch names it; by default the first of CUDA, MPS and CPU that there is.
        dtype: `"fp32"`, `"fp16"` or `"bf16"`; by default fp16 on CUDA and MPS, on a CPU bf16 where the processor
            computes it natively and fp32 elsewhere.
        variant: name inside the weight files, such as `"fp16"`.

    Raises:
        Diff2LipError: if there is no such pipeline, or the device cannot be used.
        CheckpointError: if its weights are incomplete.
        ValueError: if `dtype` is unknown.
    """
    device = default_device() if device is None else device
    torch_dtype = _torch_dtype(default_dtype(device) if dtype is None else dtype)
    _check_model_folder(Path(model))
    try:
        # Fails in one line where diffusers would first log several.
        revision = None if Path(model).is_dir() else HfApi().resolve_revision(str(model))
        pipe = DiffusionPipeline.from_pretrained(
            str(model), revision=revision, dtype=torch_dtype, variant=variant, use_safetensors=True
        )
    except (*HUB_ERRORS, AttributeError, LookupError, TypeError) as error:
        missing = "" if Path(model).exists() else "no such folder here, and from the Hub it "
        raise Diff2LipError(f"{model}: {missing}cannot be loaded as a pipeline: {_reason(error)}") from error
    if not isinstance(pipe, Diff2LipPipeline):
        raise Diff2LipError(f"{model}: holds a {type(pipe).__name__}, expected a Diff2LipPipeline")
    # diffusers only warns.
    parameters = [*pipe.unet.named_parameters(), *pipe.audio_encoder.named_parameters()]
    missing = tuple(name for name, parameter in parameters if parameter.is_meta)
    if missing:
        raise CheckpointError(f"{model}: weights are incomplete", missing=missing)
    try:
        pipe.to(device)
    except (RuntimeError, AssertionError) as error:
        raise Diff2LipError(f"device {device!r} cannot be used: {_reason(error)}") from error
    pipe.unet.to(memory_format=torch.channels_last)
    return pipe


def default_device() -> str:
    """The first of CUDA, MPS and CPU that there is."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def default_dtype(device: str) -> str:
    """The fastest precision of sufficient accuracy on a device."""
    if not device.startswith("cpu"):
        return "fp16"
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    native = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return "bf16" if native else "fp32"


def _check_model_folder(folder: Path) -> None:
    if folder == Path():
        raise ValueError("`model` is empty, expected a model folder or a repository on the Hub")
    if folder.is_file():
        raise MediaError(folder, "is a file, expected a model folder; convert a checkpoint with: diff2lip convert")
    if folder.is_dir() and not (folder / "model_index.json").is_file():
        raise MediaError(folder, "has no model_index.json; write a model folder with: diff2lip convert")
    if not folder.exists() and (
        folder.is_absolute() or len(folder.parts) > 2 or folder.parts[:1] in ((".",), ("..",))
    ):
        raise MediaError(folder, "no such model folder")


def _cast(component: ModelMixin, dtype: torch.dtype) -> None:
    kept = component._keep_in_fp32_modules or []
    for name, parameter in component.named_parameters():
        if not any(module in name for module in kept):
            parameter.data = parameter.data.to(dtype)


def _torch_dtype(dtype: str) -> torch.dtype:
    if dtype not in DTYPES:
        raise ValueError(f"`dtype` is {dtype!r}, known are {', '.join(DTYPES)}")
    return DTYPES[dtype]


def _reason(error: BaseException) -> str:
    """One line: what the Hub answered where that is the cause, else the first line of the error."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, HfHubHTTPError):
        cause = cause.__cause__
    # In front of the answer stand a status and a request number, then an empty line.
    answer = " ".join(str(cause or "").partition("\n\n")[2].split())
    return answer or str(error).strip().partition("\n")[0] or type(error).__name__
