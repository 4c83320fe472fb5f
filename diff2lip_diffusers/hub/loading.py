"""Loads a pipeline from a folder or the Hub, with adapters, and the fastest settings for this machine."""

import inspect
import json
from collections.abc import Sequence
from pathlib import Path

import diffusers
import torch
from diffusers import DiffusionPipeline, SchedulerMixin
from huggingface_hub import hf_hub_download, snapshot_download
from safetensors import SafetensorError, safe_open

from ..errors import CheckpointError, Diff2LipError, MediaError
from ..network_building import one_at_a_time
from ..portable.audio_encoder_diff2lip import Diff2LipAudioEncoder
from ..portable.feature_extraction_diff2lip import Diff2LipFeatureExtractor
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from ..portable.unet_diff2lip import Diff2LipUNet2DConditionModel
from .checks import check_config_files, check_finite, check_settings
from .files import HUB_ERRORS, model_place, reason_of, resolved_revision
from .precisions import torch_dtype

# A folder with this file is an adapter (LoRA); a training run has it in its folder `lora`.
ADAPTER_NAME = "pytorch_lora_weights.safetensors"


@one_at_a_time
def load_pipeline(
    model: str | Path,
    device: str | None = None,
    dtype: str | None = None,
    variant: str | None = None,
    lora: Sequence[tuple[str | Path, float]] = (),
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    subfolder: str | None = None,
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
        revision: branch, tag or commit of the repository; its main branch by default.
        token: access token for the Hub; the stored one by default.
        cache_dir: folder for downloads; that of huggingface_hub by default.
        subfolder: where the pipeline is in the folder or repository; the root by default.

    Raises:
        Diff2LipError: if there is no such pipeline, if its settings cannot work, if an adapter is not for it, or if
            the device cannot be used.
        CheckpointError: if weights are missing, or not finite.
        ValueError: if `dtype` is unknown.
    """
    device = default_device() if device is None else device
    precision = torch_dtype(default_dtype(device) if dtype is None else dtype)
    hub = {"revision": revision, "token": token, "cache_dir": cache_dir}
    model = model_place(model, subfolder, **hub) if subfolder else model
    adapter = _adapter_file(model)
    if adapter is not None:
        model, lora = _base_of(adapter), [(adapter, 1.0), *lora]
    _check_model_folder(Path(model))
    check_config_files(model)
    try:
        hub["revision"] = resolved_revision(model, revision, token)
        pipe = _from_pretrained(str(model), precision, variant, hub)
    except (*HUB_ERRORS, AttributeError, LookupError, TypeError, ArithmeticError) as error:
        missing = "" if Path(model).exists() else "no such folder here, and from the Hub it "
        raise Diff2LipError(f"{model}: {missing}cannot be loaded as a pipeline: {reason_of(error)}") from error
    if not isinstance(pipe, Diff2LipPipeline):
        raise Diff2LipError(f"{model}: holds a {type(pipe).__name__}, expected a Diff2LipPipeline")
    # diffusers only warns about missing weights.
    parameters = [*pipe.unet.named_parameters(), *pipe.audio_encoder.named_parameters()]
    missing = tuple(name for name, parameter in parameters if parameter.is_meta)
    if missing:
        raise CheckpointError(f"{model}: weights are incomplete", missing=missing)
    for path, scale in lora:
        _fuse_adapter(pipe, path, scale, token, cache_dir)
    check_finite(pipe, model)
    check_settings(pipe, model)
    try:
        if torch.device(device).type == "meta":
            raise RuntimeError("it holds no numbers")
        pipe.to(device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise Diff2LipError(f"device {device!r} cannot be used: {reason_of(error)}") from error
    pipe.unet.to(memory_format=torch.channels_last)
    return pipe


def _from_pretrained(model: str, dtype: torch.dtype, variant: str | None, hub: dict) -> DiffusionPipeline:
    """Loads a pipeline with this package's classes; code that a folder or repository carries is not run."""
    loading = {"dtype": dtype, "variant": variant, "use_safetensors": True, **hub}
    is_folder = Path(model).is_dir()
    index = Path(model, "model_index.json") if is_folder else Path(hf_hub_download(model, "model_index.json", **hub))
    settings = _settings_beside_code(index)
    if settings is None:
        return DiffusionPipeline.from_pretrained(model, **loading)
    folder = Path(model if is_folder else snapshot_download(model, ignore_patterns="*.py", **hub))
    components = {
        "unet": Diff2LipUNet2DConditionModel.from_pretrained(folder, subfolder="unet", **loading),
        "audio_encoder": Diff2LipAudioEncoder.from_pretrained(folder, subfolder="audio_encoder", **loading),
        "feature_extractor": Diff2LipFeatureExtractor.from_pretrained(folder, subfolder="feature_extractor"),
        "scheduler": _scheduler_of(folder, settings["scheduler"]),
    }
    accepted = inspect.signature(Diff2LipPipeline.__init__).parameters
    pipe = Diff2LipPipeline(**{name: value for name, value in settings.items() if name in accepted} | components)
    pipe.register_to_config(_name_or_path=str(folder))
    return pipe


def _settings_beside_code(index: Path) -> dict | None:
    """The settings of a pipeline whose folder carries its code; None for others, and for damaged ones."""
    try:
        settings = json.loads(index.read_text(encoding="utf-8"))
    except ValueError:
        return None
    return settings if isinstance(settings, dict) and isinstance(settings.get("_class_name"), list) else None


def _scheduler_of(folder: Path, entry: list[str]) -> SchedulerMixin:
    """The scheduler of a model folder, one of those in diffusers."""
    library, name = entry
    kind = getattr(diffusers, name, None) if library == "diffusers" else None
    if not (isinstance(kind, type) and issubclass(kind, SchedulerMixin)):
        raise ValueError(f"its scheduler is {name} of {library}, expected one of diffusers")
    # It returns more only if asked for unused arguments.
    return kind.from_pretrained(folder, subfolder="scheduler")  # pyright: ignore[reportReturnType]


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
        raise Diff2LipError(f"{adapter}: cannot be read: {reason_of(error)}") from error
    base = settings.get("unet.base_model_name_or_path")
    if not base:
        raise Diff2LipError(f"{adapter}: does not say which model it was trained on; {cure}")
    if Path(base).is_absolute() and not Path(base).exists():
        raise Diff2LipError(f"{adapter}: the model it was trained on is gone: {base}; {cure}")
    return base


def _fuse_adapter(
    pipe: Diff2LipPipeline, path: str | Path, scale: float, token: str | bool | None, cache_dir: str | Path | None
) -> None:
    try:
        pipe.load_lora_weights(str(_adapter_file(path) or path), token=token, cache_dir=cache_dir)
        pipe.fuse_lora(lora_scale=scale)
        pipe.unload_lora_weights()
    except (*HUB_ERRORS, ImportError, LookupError, SafetensorError) as error:
        reason = "it is for another model" if "size mismatch" in str(error) else reason_of(error)
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
