"""Converts an original checkpoint to a pipeline, or to a model folder with its card and license."""

import shutil
from pathlib import Path

import torch

from ..errors import CheckpointError, MediaError
from ..original_checkpoint import NORM_GROUPS, components_from_original, license_of_file, load_original_checkpoint
from ..output_paths import filling_folder
from ..portable.feature_extraction_diff2lip import Diff2LipFeatureExtractor
from ..portable.model_card_diff2lip import CONVERTED_LICENSE, write_model_card
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from ..schedulers import original_scheduler
from .checks import check_finite
from .files import checkpoint_file
from .precisions import lowered, set_precision, torch_dtype

PACKAGE = Path(__file__).parent.parent


def convert_checkpoint(
    checkpoint: str | Path,
    output: str | Path,
    head_channels: int = 64,
    dtype: str = "fp32",
    variant: str | None = None,
    norm_groups: int = NORM_GROUPS,
    sample_size: int | None = None,
    license: str | None = None,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
) -> Path:
    """Converts an original checkpoint to a model folder: safetensors, model card and license.

    Files appear in `output` when all are complete. Other files in the folder stay, such as those of another variant.

    Args:
        checkpoint: the file of the authors, or its place on the Hub: `hf:OWNER/REPO/FILE`.
        output: folder to write.
        head_channels: channels per attention head; the file does not contain this number.
        dtype: `"fp32"`, `"fp16"` or `"bf16"`, of the stored weights. The last normalization and the last convolution
            of the U-Net stay in float32.
        variant: part of the names of the weight files, as in `from_pretrained(variant=...)`.
        norm_groups: groups of every normalization; the file does not contain this number either.
        sample_size: height and width of the crops in pixels; see [`components_from_original`].
        license: license of the weights, as the Hub names it. By default what `diff2lip export` wrote into the file,
            else that of the authors' weights, `"cc-by-nc-4.0"`.
        revision: branch, tag or commit, if the file is on the Hub.
        token: access token for the Hub; the stored one by default.
        cache_dir: folder for downloads; that of huggingface_hub by default.

    Returns:
        `output`.

    Raises:
        CheckpointError: if the file is not a complete Diff2Lip checkpoint.
        MediaError: if the file is missing, or if the folder cannot be written.
        Diff2LipError: if the file is not on the Hub, or the Hub cannot be reached.
        ValueError: if `dtype` is unknown, or if `head_channels` or `norm_groups` does not fit the checkpoint.
    """
    precision = torch_dtype(dtype)
    output = Path(output)
    if output.exists() and not output.is_dir():
        raise MediaError(output, "is a file; name a folder for the converted model")
    file = checkpoint_file(checkpoint, revision, token, cache_dir)
    pipe = _pipeline_from_original(file, head_channels, norm_groups, sample_size, license)
    for component in (pipe.unet, pipe.audio_encoder):
        set_precision(lowered(component), precision)
    check_finite(pipe, checkpoint, f" in {dtype}; choose another `dtype`")
    save_with_card(pipe, output, variant)
    return output


def pipeline_from_single_file(
    checkpoint: str | Path,
    dtype: torch.dtype = torch.float32,
    head_channels: int = 64,
    norm_groups: int = NORM_GROUPS,
    sample_size: int | None = None,
    license: str | None = None,
    **others,
) -> Diff2LipPipeline:
    """Returns the pipeline of an original checkpoint, for `Diff2LipPipeline.from_single_file`.

    Arguments and errors are those of [`convert_checkpoint`].

    Args:
        checkpoint: the file, or its place on the Hub.
        dtype: of the weights.
        head_channels: channels per attention head.
        norm_groups: groups of every normalization.
        sample_size: height and width of the crops in pixels.
        license: license of the weights.
        **others: `revision`, `token` and `cache_dir` for the Hub; components that replace those of the checkpoint.
    """
    place = {name: others.pop(name) for name in ("revision", "token", "cache_dir") if name in others}
    dtype = others.pop("torch_dtype", dtype) or torch.float32  # its old name in diffusers
    parts = {name: others.pop(name) for name in ("scheduler", "feature_extractor") if name in others}
    if others:
        raise ValueError(f"`from_single_file` has no argument `{next(iter(others))}`")
    file = checkpoint_file(checkpoint, **place)
    pipe = _pipeline_from_original(file, head_channels, norm_groups, sample_size, license)
    for component in (pipe.unet, pipe.audio_encoder):
        set_precision(lowered(component.eval()), dtype)
    check_finite(pipe, checkpoint, f" in {dtype}; choose another `dtype`")
    pipe.register_modules(**parts)
    return pipe


def _pipeline_from_original(
    file: Path, head_channels: int, norm_groups: int, sample_size: int | None, license: str | None
) -> Diff2LipPipeline:
    state_dict = load_original_checkpoint(file)
    try:
        unet, audio_encoder = components_from_original(state_dict, head_channels, sample_size, norm_groups)
    except CheckpointError as error:
        error.args = (f"{file}: {error}",)
        raise
    found = license_of_file(file)  # empty: own weights, whose license nobody named
    own = CONVERTED_LICENSE if found is None else found or None
    pipe = Diff2LipPipeline(
        unet, audio_encoder, Diff2LipFeatureExtractor(), original_scheduler(), weights_license=license or own
    )
    check_finite(pipe, file)
    return pipe


def save_with_card(pipe: Diff2LipPipeline, output: str | Path, variant: str | None = None) -> None:
    """Saves a pipeline with its model card and license. No file is ever half-written."""
    converted_license = PACKAGE / "weights" / "CONVERTED_LICENSE.txt"
    is_converted = pipe.config["weights_license"] == CONVERTED_LICENSE
    with filling_folder(output) as folder:
        pipe.save_pretrained(folder, variant=variant)
        if is_converted:
            shutil.copyfile(PACKAGE / "model_card.md", folder / "README.md")
            shutil.copyfile(converted_license, folder / "LICENSE.txt")
        else:
            write_model_card(pipe, folder, "path/of/this/folder")
    if not is_converted:
        _remove_copy(Path(output) / "LICENSE.txt", converted_license)


def _remove_copy(file: Path, original: Path) -> None:
    """Removes a file that weights converted earlier left in the folder; one with other contents stays."""
    if file.is_file() and file.read_bytes() == original.read_bytes():
        file.unlink()


Diff2LipPipeline._single_file_reader = staticmethod(pipeline_from_single_file)
