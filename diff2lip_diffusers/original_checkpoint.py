"""Converts the authors' checkpoint to components and back. Only this file knows the original tensor names.

The checkpoint is a `torch.save` of one flat state dict.
"""

import pickle
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from .errors import CheckpointError, MediaError
from .portable.audio_encoder_diff2lip import Diff2LipAudioEncoder
from .portable.unet_diff2lip import Diff2LipUNet2DConditionModel

StateDict = dict[str, torch.Tensor]

RESNET_LAYERS = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
ATTENTION_LAYERS = {"norm": "group_norm", "qkv": "to_qkv", "proj_out": "to_out.0"}
# The original has self-attention at the level that is 32 pixels wide and at all coarser levels.
FINEST_ATTENTION_PX = 32
NORM_GROUPS = 32
# The shapes do not show the pooling strides of the audio encoder; the defaults of its configuration apply.
AUDIO_LEVELS = 4
# A part of the file that only we write and read: the license of the weights.
LICENSE_PART = "diff2lip_license"


# Numbers that every operation of torch knows.
PLAIN_DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def load_original_checkpoint(path: str | Path) -> StateDict:
    """Reads the flat state dict of a checkpoint file, memory-mapped.

    Raises:
        MediaError: if the file is missing or a directory.
        CheckpointError: if it is truncated, or contains anything but named tensors.
    """
    state_dict = load_checkpoint_file(path)
    if not isinstance(state_dict, Mapping) or not state_dict:
        empty = "n empty" if state_dict == {} else ""
        raise CheckpointError(f"{path}: holds a{empty} {type(state_dict).__name__}, expected a dict of tensors")
    for name, value in state_dict.items():
        if not torch.is_tensor(value) or not isinstance(name, str):
            raise CheckpointError(
                f"{path}: entry {name!r} is a {type(value).__name__}, expected a flat dict of named tensors; not a"
                " Diff2Lip checkpoint"
            )
        if value.layout != torch.strided or value.is_meta or value.dtype not in PLAIN_DTYPES:
            kind = f"a {value.layout} tensor of {value.dtype} on {value.device}".replace("torch.", "")
            raise CheckpointError(f"{path}: entry {name!r} is {kind}, expected plain floating-point numbers")
    return dict(state_dict)


def load_checkpoint_file(path: str | Path) -> object:
    """Reads a PyTorch file of any layout to the CPU; memory-mapped if its format allows.

    Raises:
        MediaError: if the file is missing or a directory.
        CheckpointError: if it is truncated, or contains objects that could run code.
    """
    path = Path(path)
    if not path.is_file():
        raise MediaError(path, "is a directory, not a checkpoint file" if path.is_dir() else "no such checkpoint file")
    try:
        is_zip = _is_zip(path)
        if is_zip:
            _check_sums(path)
        with warnings.catch_warnings(action="ignore"):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path}: not loaded: it contains more than tensors, or is not a checkpoint") from error
    except Exception as error:  # a damaged pickle can raise anything
        raise CheckpointError(f"{path}: cannot be read: it is truncated, or not a PyTorch checkpoint") from error


def license_of_file(path: str | Path) -> str | None:
    """Returns the license that [`add_license`] wrote into a checkpoint file; None if it wrote none."""
    if not _is_zip(Path(path)):
        return None
    with zipfile.ZipFile(path) as archive:
        parts = [name for name in archive.namelist() if name.endswith(f"/{LICENSE_PART}")]
        return archive.read(parts[0]).decode(errors="replace") if parts else None


def add_license(path: str | Path, license: str) -> None:
    """Adds the license of the weights to a checkpoint file; empty if nobody named one. PyTorch skips this part."""
    with zipfile.ZipFile(path, "a") as archive:
        folder = archive.namelist()[0].partition("/")[0]  # PyTorch reads archives of one folder only
        archive.writestr(f"{folder}/{LICENSE_PART}", license)


def components_from_original(
    state_dict: StateDict, head_channels: int = 64, sample_size: int | None = None, norm_groups: int = NORM_GROUPS
) -> tuple[Diff2LipUNet2DConditionModel, Diff2LipAudioEncoder]:
    """Returns the U-Net and the audio encoder of an original state dict, in evaluation mode.

    Sizes are inferred from the shapes of the tensors; three of them cannot be and are arguments.

    Args:
        state_dict: original names to tensors. The components share their memory where the layout allows.
        head_channels: channels per attention head.
        sample_size: height and width of a crop in pixels. By default the finest level with attention is assumed to be
            32 pixels wide.
        norm_groups: groups of every normalization.

    Raises:
        CheckpointError: if tensors are missing, unexpected or of another shape.
        ValueError: if `head_channels` does not divide the channels of an attention layer, or if `norm_groups` does
            not divide those of a normalization.

    Source: the original program, listed in `tests/data/released_manifest.json`.
    """
    unet_config, audio_config = _infer_configs(state_dict, head_channels, sample_size)
    _check_norm_groups(unet_config, audio_config, norm_groups)
    unet_config["norm_num_groups"] = audio_config["norm_num_groups"] = norm_groups
    with torch.device("meta"):
        unet = Diff2LipUNet2DConditionModel(**unet_config)
        audio_encoder = Diff2LipAudioEncoder(**audio_config)
    names = _name_table(unet, audio_encoder)
    _check_names_and_shapes(state_dict, names, _own_state_dict(unet, audio_encoder))

    own = {}
    for original, ours in names.items():
        own |= _to_own_tensors(state_dict[original], ours, head_channels)
    for prefix, component in (("unet.", unet), ("audio_encoder.", audio_encoder)):
        tensors = {name.removeprefix(prefix): value for name, value in own.items() if name.startswith(prefix)}
        component.load_state_dict(tensors, strict=True, assign=True)
        component.eval()
    return unet, audio_encoder


def components_to_original(unet: Diff2LipUNet2DConditionModel, audio_encoder: Diff2LipAudioEncoder) -> StateDict:
    """Returns the original state dict of two components: the exact inverse of [`components_from_original`]."""
    own = _own_state_dict(unet, audio_encoder)
    head_channels = unet.config["attention_head_dim"]
    return {
        original: _to_original_tensor(original, [own[name] for name in ours], head_channels)
        for original, ours in _name_table(unet, audio_encoder).items()
    }


def _is_zip(path: Path) -> bool:
    """Returns whether a file is a zip archive. Older torch wrote plain pickles, which cannot be memory-mapped."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _check_sums(path: Path) -> None:
    """Raises CheckpointError if a part of a zip archive does not have the checksum that was stored with it."""
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise CheckpointError(f"{path}: is damaged: {damaged} has another checksum; download or copy it again")


# Sizes


def _infer_configs(state_dict: StateDict, head_channels: int, sample_size: int | None) -> tuple[dict, dict]:
    """Infers the configurations of both components from the shapes."""
    try:
        unet_config = _infer_unet_config(state_dict, head_channels)
        audio_config = _infer_audio_config(state_dict)
    except (LookupError, ArithmeticError, ValueError, TypeError, RuntimeError) as error:
        missing = (error.args[0],) if isinstance(error, KeyError) else ()
        raise CheckpointError("not a Diff2Lip checkpoint", missing=missing, unexpected=_foreign(state_dict)) from error
    _check_head_channels(unet_config, head_channels)
    attention = [name == "AttnDownBlock2D" for name in unet_config["down_block_types"]]
    finest = attention.index(True) if any(attention) else 0
    unet_config["sample_size"] = sample_size or FINEST_ATTENTION_PX * 2**finest
    return unet_config, audio_config


def _foreign(state_dict: StateDict) -> tuple[str, ...]:
    """Returns the tensor names that no Diff2Lip checkpoint has."""
    known = ("time_embed.", "input_blocks.", "middle_block.", "output_blocks.", "out.", "audio_encoder")
    return tuple(name for name in state_dict if not str(name).startswith(known))


def _infer_unet_config(state_dict: StateDict, head_channels: int) -> dict:
    embed_dim, base_channels = state_dict["time_embed.0.weight"].shape
    if embed_dim != 4 * base_channels or not base_channels:
        raise CheckpointError(
            f"not a Diff2Lip checkpoint: time_embed.0.weight has shape ({embed_dim}, {base_channels}), expected four"
            " times as many rows as columns"
        )
    first, out = state_dict["input_blocks.0.0.weight"], state_dict["out.2.weight"]
    output_blocks = {name.split(".")[1] for name in state_dict if name.startswith("output_blocks.")}
    upsamplers = sum(
        name.startswith("output_blocks.")
        and name.endswith(".in_layers.2.weight")
        and not name.endswith(".0.in_layers.2.weight")
        for name in state_dict
    )
    levels = upsamplers + 1
    layers = len(output_blocks) // levels - 1
    # Each level has its residual blocks and, except for the last, a pooling block.
    starts = [1 + level * (layers + 1) for level in range(levels)]
    return {
        "in_channels": first.shape[1] // 3,
        "out_channels": out.shape[0],
        "block_out_channels": tuple(state_dict[f"input_blocks.{k}.0.in_layers.2.weight"].shape[0] for k in starts),
        "down_block_types": tuple(
            "AttnDownBlock2D" if _has_module(state_dict, f"input_blocks.{k}.1.") else "ResnetDownsampleBlock2D"
            for k in starts
        ),
        "layers_per_block": layers,
        "attention_head_dim": head_channels,
        "time_embedding_dim": embed_dim,
    }


def _has_module(state_dict: StateDict, prefix: str) -> bool:
    return any(name.startswith(prefix) for name in state_dict)


def _infer_audio_config(state_dict: StateDict) -> dict:
    mel_conv = state_dict["audio_encoder.input_block.0.weight"]
    blocks = {name.split(".")[2] for name in state_dict if name.startswith("audio_encoder.encoder_blocks.")}
    layers = len(blocks) // AUDIO_LEVELS - 1
    starts = [1 + level * (layers + 1) for level in range(AUDIO_LEVELS)]
    return {
        "num_mel_bins": mel_conv.shape[1],
        "embed_dim": state_dict["audio_encoder_to_style.3.weight"].shape[0],
        "input_channels": mel_conv.shape[0],
        "block_out_channels": tuple(
            state_dict[f"audio_encoder.encoder_blocks.{k}.0.in_layers.2.weight"].shape[0] for k in starts
        ),
        "layers_per_block": layers,
    }


def _check_head_channels(unet_config: dict, head_channels: int) -> None:
    levels = list(zip(unet_config["block_out_channels"], unet_config["down_block_types"], strict=True))
    attending = [channels for channels, block in levels if block == "AttnDownBlock2D"] + [levels[-1][0]]
    for channels in attending:
        if head_channels < 1 or channels % head_channels:
            raise ValueError(
                f"`head_channels` is {head_channels}, which does not divide the {channels} channels of an attention"
                " layer; pass the number this model was trained with (--head-channels)"
            )


def _check_norm_groups(unet_config: dict, audio_config: dict, norm_groups: int) -> None:
    normalized = [*unet_config["block_out_channels"], *audio_config["block_out_channels"]]
    for channels in [*normalized, audio_config["input_channels"]]:
        if norm_groups < 1 or channels % norm_groups:
            raise ValueError(
                f"`norm_groups` is {norm_groups}, which does not divide the {channels} channels of a normalization;"
                " pass the number this model was trained with (--norm-groups)"
            )


# Names


def _name_table(unet: Diff2LipUNet2DConditionModel, audio_encoder: Diff2LipAudioEncoder) -> dict[str, tuple[str, ...]]:
    """Maps each original tensor name to ours: three names where the original joins query, key and value."""
    own = _own_state_dict(unet, audio_encoder)
    layers = [*_unet_layers(unet.config), *_audio_layers(len(audio_encoder.resnets))]
    table = {}
    for original, ours in layers:
        for kind in ("weight", "bias"):
            names = _split_names(ours, kind)
            if names[0] in own:
                table[f"{original}.{kind}"] = names
    return table


def _split_names(layer: str, kind: str) -> tuple[str, ...]:
    if not layer.endswith("to_qkv"):
        return (f"{layer}.{kind}",)
    return tuple(f"{layer.removesuffix('qkv')}{part}.{kind}" for part in "qkv")


def _own_state_dict(unet: torch.nn.Module, audio_encoder: torch.nn.Module) -> StateDict:
    return {f"unet.{name}": value for name, value in unet.state_dict().items()} | {
        f"audio_encoder.{name}": value for name, value in audio_encoder.state_dict().items()
    }


def _unet_layers(config: Mapping) -> Iterator[tuple[str, str]]:
    yield "time_embed.0", "unet.time_embedding.linear_1"
    yield "time_embed.2", "unet.time_embedding.linear_2"
    yield "input_blocks.0.0", "unet.conv_in"
    yield from _down_layers(config)
    yield from _resnet_layers("middle_block.0", "unet.mid_block.resnets.0")
    yield from _attention_layers("middle_block.1", "unet.mid_block.attentions.0")
    yield from _resnet_layers("middle_block.2", "unet.mid_block.resnets.1")
    yield from _up_layers(config)
    yield "out.0", "unet.conv_norm_out"
    yield "out.2", "unet.conv_out"


def _down_layers(config: Mapping) -> Iterator[tuple[str, str]]:
    index = 1
    for level in range(len(config["block_out_channels"])):
        block = f"unet.down_blocks.{level}"
        for layer in range(config["layers_per_block"]):
            yield from _resnet_layers(f"input_blocks.{index}.0", f"{block}.resnets.{layer}")
            yield from _attention_layers(f"input_blocks.{index}.1", f"{block}.attentions.{layer}")
            index += 1
        yield from _resnet_layers(f"input_blocks.{index}.0", f"{block}.downsamplers.0")
        index += 1


def _up_layers(config: Mapping) -> Iterator[tuple[str, str]]:
    layers = config["layers_per_block"] + 1
    for position, block_type in enumerate(reversed(config["down_block_types"])):
        block = f"unet.up_blocks.{position}"
        for layer in range(layers):
            original = f"output_blocks.{position * layers + layer}"
            yield from _resnet_layers(f"{original}.0", f"{block}.resnets.{layer}")
            yield from _attention_layers(f"{original}.1", f"{block}.attentions.{layer}")
        upsampler = 2 if block_type == "AttnDownBlock2D" else 1
        yield from _resnet_layers(f"{original}.{upsampler}", f"{block}.upsamplers.0")


def _audio_layers(count: int) -> Iterator[tuple[str, str]]:
    yield "audio_encoder.time_embed.0", "audio_encoder.time_embedding.linear_1"
    yield "audio_encoder.time_embed.2", "audio_encoder.time_embedding.linear_2"
    yield "audio_encoder.input_block.0", "audio_encoder.mel_conv"
    yield "audio_encoder.input_block.1", "audio_encoder.mel_norm"
    yield "audio_encoder.encoder_blocks.0.0", "audio_encoder.conv_in"
    for index in range(count):
        yield from _resnet_layers(f"audio_encoder.encoder_blocks.{index + 1}.0", f"audio_encoder.resnets.{index}")
    yield from _resnet_layers("audio_encoder.middle_block.0", "audio_encoder.mid_resnet")
    yield "audio_encoder_to_style.0", "audio_encoder.norm_out"
    yield "audio_encoder_to_style.3", "audio_encoder.proj_out"


def _resnet_layers(original: str, ours: str) -> Iterator[tuple[str, str]]:
    return ((f"{original}.{theirs}", f"{ours}.{own}") for theirs, own in RESNET_LAYERS.items())


def _attention_layers(original: str, ours: str) -> Iterator[tuple[str, str]]:
    return ((f"{original}.{theirs}", f"{ours}.{own}") for theirs, own in ATTENTION_LAYERS.items())


def _check_names_and_shapes(state_dict: StateDict, names: dict[str, tuple[str, ...]], own: StateDict) -> None:
    missing = tuple(name for name in names if name not in state_dict)
    unexpected = tuple(name for name in state_dict if name not in names)
    if missing or unexpected:
        raise CheckpointError("not a Diff2Lip checkpoint", missing, unexpected)
    for original, ours in names.items():
        expected = _original_shape(original, [own[name].shape for name in ours])
        if tuple(state_dict[original].shape) != expected:
            raise CheckpointError(
                f"not a Diff2Lip checkpoint: {original} has shape {tuple(state_dict[original].shape)}, expected"
                f" {expected}"
            )


# Tensors: the original joins query, key and value in one 1x1 convolution; ours are three linear layers.


def _is_projection_weight(original: str) -> bool:
    return original.endswith((".qkv.weight", ".proj_out.weight"))


def _original_shape(original: str, shapes: list[torch.Size]) -> tuple[int, ...]:
    rows, *rest = shapes[0]
    return (rows * len(shapes), *rest, *([1] if _is_projection_weight(original) else []))


def _to_own_tensors(tensor: torch.Tensor, names: tuple[str, ...], head_channels: int) -> StateDict:
    if tensor.ndim == 3 and ".attentions." in names[0]:
        tensor = tensor.squeeze(-1)
    if len(names) == 1:
        return {names[0]: tensor}
    # Rows are interleaved per head: (heads, 3, head channels).
    per_head = tensor.unflatten(0, (-1, 3, head_channels))
    return {name: per_head[:, part].flatten(0, 1) for part, name in enumerate(names)}


def _to_original_tensor(original: str, tensors: list[torch.Tensor], head_channels: int) -> torch.Tensor:
    if len(tensors) == 1:
        joined = tensors[0]
    else:
        joined = torch.stack([part.unflatten(0, (-1, head_channels)) for part in tensors], dim=1).flatten(0, 2)
    return joined.unsqueeze(-1) if _is_projection_weight(original) else joined
