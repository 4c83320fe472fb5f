"""Model folders and Hub repositories: converts a checkpoint, uploads a folder, loads a pipeline."""

import copy
import inspect
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from diffusers import DiffusionPipeline, ModelMixin
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, RevisionResolutionError
from huggingface_hub.utils import httpx
from safetensors import SafetensorError, safe_open

from .errors import CheckpointError, Diff2LipError, MediaError
from .original_checkpoint import NORM_GROUPS, components_from_original, load_original_checkpoint
from .output_paths import filling_folder
from .portable.feature_extraction_diff2lip import Diff2LipFeatureExtractor
from .portable.pipeline_diff2lip import Diff2LipPipeline
from .schedulers import original_scheduler

MAX_SAMPLE_PX, MAX_SETTING, TRIAL_SAMPLES = 4096, 10**6, 16000
PACKAGE = Path(__file__).parent
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
# A folder with this file is an adapter (LoRA); a training run has it in its folder `lora`.
ADAPTER_NAME = "pytorch_lora_weights.safetensors"
# What huggingface_hub raises for refused and failed requests.
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
    """Converts an original checkpoint to a model folder: safetensors, model card and license.

    Files appear in `output` when all are complete. Other files in the folder stay, such as those of another variant.

    Args:
        checkpoint: the file of the authors.
        output: folder to write.
        head_channels: channels per attention head; the file does not contain this number.
        dtype: `"fp32"`, `"fp16"` or `"bf16"`, of the stored weights. The last normalization and the last convolution
            of the U-Net stay in float32.
        variant: part of the names of the weight files, as in `from_pretrained(variant=...)`.
        norm_groups: groups of every normalization; the file does not contain this number either.
        sample_size: height and width of the crops in pixels; see [`components_from_original`].

    Returns:
        `output`.

    Raises:
        CheckpointError: if the file is not a complete Diff2Lip checkpoint.
        MediaError: if the file is missing, or if the folder cannot be written.
        ValueError: if `dtype` is unknown, or if `head_channels` or `norm_groups` does not fit the checkpoint.
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
    pipe = Diff2LipPipeline(unet, audio_encoder, Diff2LipFeatureExtractor(), original_scheduler())
    _check_finite(pipe, checkpoint)
    for component in (unet, audio_encoder):
        _cast(component, torch_dtype)
    _check_finite(pipe, checkpoint, f" in {dtype}; choose another `dtype`")
    save_with_card(pipe, output, variant)
    return output


def save_with_card(pipe: Diff2LipPipeline, output: str | Path, variant: str | None = None) -> None:
    """Saves a pipeline with converted weights, its model card and license. No file is ever half-written."""
    with filling_folder(output) as folder:
        pipe.save_pretrained(folder, variant=variant)
        shutil.copyfile(PACKAGE / "model_card.md", folder / "README.md")
        shutil.copyfile(PACKAGE / "weights" / "CONVERTED_LICENSE.txt", folder / "LICENSE.txt")


def push_folder(folder: str | Path, repo_id: str, private: bool = False) -> str:
    """Uploads a model folder to the Hub and returns the URL of the commit.

    Raises:
        Diff2LipError: if the Hub refuses or cannot be reached, or if `private` is set and the repository is public.
        MediaError: if there is no such model folder.
    """
    if not (Path(folder) / "model_index.json").is_file():
        raise MediaError(folder, "has no model_index.json; write a model folder with: diff2lip convert")
    api = HfApi()
    try:
        repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        # The Hub does not make an existing repository private.
        if private and not api.model_info(repo_id).private:
            raise Diff2LipError(f"{repo_id}: not uploaded: the repository exists and is public")
        return str(api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message="Upload Diff2LipPipeline"))
    except HUB_ERRORS as error:
        raise Diff2LipError(f"{repo_id}: not uploaded to the Hub: {_reason(error)}") from error


def load_pipeline(
    model: str | Path,
    device: str | None = None,
    dtype: str | None = None,
    variant: str | None = None,
    lora: Sequence[tuple[str | Path, float]] = (),
) -> Diff2LipPipeline:
    """Loads a pipeline from a folder or Hub repository, with the fastest settings for this machine.

    Args:
        model: folder or repository id. The folder of a LoRA training run stands for its base model with its adapter.
        device: device name for torch; by default the first available of CUDA, MPS and CPU.
        dtype: `"fp32"`, `"fp16"` or `"bf16"`. By default fp16 on CUDA and MPS, bf16 on processors with native bf16,
            and fp32 on others.
        variant: part of the names of the weight files, such as `"fp16"`.
        lora: adapters and their scales, which are fused with the weights: folders of training runs, folders or files
            of adapters, or repositories on the Hub.

    Raises:
        Diff2LipError: if there is no such pipeline, if its settings cannot work, if an adapter is not for it, or if
            the device cannot be used.
        CheckpointError: if weights are missing, or not finite.
        ValueError: if `dtype` is unknown.
    """
    device = default_device() if device is None else device
    torch_dtype = _torch_dtype(default_dtype(device) if dtype is None else dtype)
    adapter = _adapter_file(model)
    if adapter is not None:
        model, lora = _base_of(adapter), [(adapter, 1.0), *lora]
    _check_model_folder(Path(model))
    try:
        # This fails with one error; diffusers would log several lines first.
        revision = None if Path(model).is_dir() else HfApi().resolve_revision(str(model))
        pipe = DiffusionPipeline.from_pretrained(
            str(model), revision=revision, dtype=torch_dtype, variant=variant, use_safetensors=True
        )
    except (*HUB_ERRORS, AttributeError, LookupError, TypeError, ArithmeticError) as error:
        missing = "" if Path(model).exists() else "no such folder here, and from the Hub it "
        raise Diff2LipError(f"{model}: {missing}cannot be loaded as a pipeline: {_reason(error)}") from error
    if not isinstance(pipe, Diff2LipPipeline):
        raise Diff2LipError(f"{model}: holds a {type(pipe).__name__}, expected a Diff2LipPipeline")
    # diffusers only warns about missing weights.
    parameters = [*pipe.unet.named_parameters(), *pipe.audio_encoder.named_parameters()]
    missing = tuple(name for name, parameter in parameters if parameter.is_meta)
    if missing:
        raise CheckpointError(f"{model}: weights are incomplete", missing=missing)
    for path, scale in lora:
        _fuse_adapter(pipe, path, scale)
    _check_finite(pipe, model)
    _check_settings(pipe, model)
    try:
        if torch.device(device).type == "meta":
            raise RuntimeError("it holds no numbers")
        pipe.to(device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise Diff2LipError(f"device {device!r} cannot be used: {_reason(error)}") from error
    pipe.unet.to(memory_format=torch.channels_last)
    return pipe


def default_device() -> str:
    """Returns the first available of CUDA, MPS and CPU."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def default_dtype(device: str) -> str:
    """Returns the fastest precision with sufficient accuracy on a device."""
    if not device.startswith("cpu"):
        return "fp16"
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    native = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return "bf16" if native else "fp32"


def _adapter_file(model: str | Path) -> Path | None:
    """The adapter in a folder: its own, or that of a training run. None for a model folder, or what is not here."""
    if (Path(model) / "model_index.json").is_file():
        return None
    return next((file for file in _adapter_places(Path(model)) if file.is_file()), None)


def _adapter_places(folder: Path) -> tuple[Path, Path]:
    return folder / ADAPTER_NAME, folder / "lora" / ADAPTER_NAME


def _base_of(adapter: Path) -> str:
    """The model that an adapter was trained on, as its file says.

    Raises:
        Diff2LipError: if it does not say, or that folder is gone.
    """
    cure = "pass the model it was trained on as the model, and this as a LoRA"
    try:
        with safe_open(adapter, "pt") as file:
            settings = json.loads((file.metadata() or {}).get("lora_adapter_metadata", "{}"))
    except (OSError, SafetensorError, ValueError) as error:
        raise Diff2LipError(f"{adapter}: cannot be read: {_reason(error)}") from error
    base = settings.get("unet.base_model_name_or_path")
    if not base:
        raise Diff2LipError(f"{adapter}: does not say which model it was trained on; {cure}")
    if Path(base).is_absolute() and not Path(base).exists():
        raise Diff2LipError(f"{adapter}: the model it was trained on is gone: {base}; {cure}")
    return base


def _fuse_adapter(pipe: Diff2LipPipeline, path: str | Path, scale: float) -> None:
    try:
        pipe.load_lora_weights(str(_adapter_file(path) or path))
        pipe.fuse_lora(lora_scale=scale)
        pipe.unload_lora_weights()
    except (*HUB_ERRORS, ImportError, LookupError, SafetensorError) as error:
        reason = "it is for another model" if "size mismatch" in str(error) else _reason(error)
        raise Diff2LipError(f"{path}: cannot be added as a LoRA: {reason}") from error


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


def _check_finite(pipe: Diff2LipPipeline, source: str | Path, where: str = "") -> None:
    """Raises CheckpointError if a weight is infinite or no number: all frames would be black."""
    for component in (pipe.unet, pipe.audio_encoder):
        for name, tensor in component.state_dict().items():
            if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                cure = where or "; it was damaged, or its training diverged: take an earlier one"
                raise CheckpointError(f"{source}: {name} has values that are not finite{cure}")


def _check_settings(pipe: Diff2LipPipeline, model: str | Path) -> None:
    """Raises Diff2LipError if the settings, which somebody may have edited, cannot work.

    Those of the networks fit the weights if these could be loaded; the other parts are tried.
    """
    unet, extractor = pipe.unet.config, pipe.feature_extractor
    size, divisor = unet["sample_size"], 2 ** (len(unet["block_out_channels"]) - 1)
    if not isinstance(size, int) or not 8 <= size <= MAX_SAMPLE_PX or size % divisor:
        raise Diff2LipError(f"{model}: `sample_size` is {size}, expected a multiple of {divisor} from 8 on")
    fraction = pipe.config["painted_fraction"]
    if not isinstance(fraction, (int, float)) or not 0 < fraction <= 1:
        raise Diff2LipError(f"{model}: `painted_fraction` is {fraction}, expected a number above 0, up to 1")
    steps = pipe.config["default_num_inference_steps"]
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise Diff2LipError(f"{model}: `default_num_inference_steps` is {steps}, expected a whole number above 0")
    defaults = Diff2LipFeatureExtractor().to_dict()
    _check_kinds(model, defaults, {name: getattr(extractor, name, default) for name, default in defaults.items()})
    for network in (pipe.unet, pipe.audio_encoder):
        parameters = inspect.signature(type(network).__init__).parameters.values()
        numbers = {each.name: each.default for each in parameters if isinstance(each.default, (int, float))}
        _check_kinds(model, numbers, network.config)
    try:
        mel = extractor.mel_spectrogram(torch.zeros(TRIAL_SAMPLES), TRIAL_SAMPLES)
        bins, expected = extractor.windows(mel, [0], extractor.fps).shape[1], pipe.audio_encoder.config["num_mel_bins"]
        if bins != expected:
            raise ValueError(f"the features have {bins} mel bins, the audio encoder expects {expected}")
        copy.deepcopy(pipe.scheduler).set_timesteps(2)
    except Exception as error:  # what a setting breaks cannot be known
        raise Diff2LipError(f"{model}: its settings cannot work: {_reason(error)}") from error


def _check_kinds(model: str | Path, defaults: Mapping[str, object], values: Mapping[str, object]) -> None:
    for name, default in defaults.items():
        if not _is_alike(values[name], default):
            raise Diff2LipError(f"{model}: `{name}` is {values[name]!r}, expected a value like {default!r}")


def _is_alike(value: object, default: object) -> bool:
    """Whether a setting has the kind of its default; whole numbers have a sensible size."""
    if isinstance(default, (str, bool)) or default is None:
        return type(value) is type(default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return False
    return abs(value) <= MAX_SETTING and (not isinstance(default, int) or isinstance(value, int))


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
    """Returns one line: the answer of the Hub if that is the cause, else the first line of the error."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, HfHubHTTPError):
        cause = cause.__cause__
    # The answer follows a status, a request number and an empty line.
    answer = " ".join(str(cause or "").partition("\n\n")[2].split())
    return answer or str(error).strip().partition("\n")[0] or type(error).__name__
