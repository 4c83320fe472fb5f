"""Exports a trained pipeline to the authors' layout, for programs that read their checkpoint."""

import json
from pathlib import Path

import torch

from ..errors import CheckpointError
from ..hub import load_pipeline
from ..original_checkpoint import add_license, components_from_original, components_to_original
from ..output_paths import hidden_folder_beside, writing
from ..portable.model_card_diff2lip import license_of
from .checkpoints import save_tensors


def export_original(model: str | Path, path: str | Path, **loading) -> str:
    """Writes a pipeline's weights as one flat state dict in the authors' layout; `diff2lip convert` is the inverse.

    The license of the weights goes with them, so that a converted file is not taken for the authors' weights.

    The layout does not contain the channels per attention head, the number of normalization groups and the crop size.
    Whoever reads the file must know them. An embedding of no speech, for guidance, is left out.

    Args:
        model: pipeline folder, or repository on the Hub.
        path: the file to write.
        **loading: further arguments of [`load_pipeline`]: `revision`, `token`, `cache_dir`, `subfolder`, `lora`.

    Returns:
        The command that converts the file back to a pipeline folder.

    Raises:
        Diff2LipError: if there is no such pipeline.
        CheckpointError: if it has sizes that the authors' layout cannot hold.
        MediaError: if the file cannot be written.
    """
    pipe, path = load_pipeline(model, device="cpu", dtype="fp32", **loading), Path(path)
    config = pipe.unet.config
    tensors = {
        name: tensor.clone(memory_format=torch.contiguous_format)
        for name, tensor in components_to_original(pipe.unet, pipe.audio_encoder).items()
    }
    try:
        unet, audio_encoder = components_from_original(
            tensors, config.attention_head_dim, config.sample_size, config.norm_num_groups
        )
    except CheckpointError as error:
        raise CheckpointError(f"{model}: has sizes that the original layout cannot hold ({error})") from error
    for own, again in ((pipe.unet, unet), (pipe.audio_encoder, audio_encoder)):
        names = [name for name in own.config if name[0] != "_" and name != "has_null_embeds"]
        changed = [name for name in names if not _same(own.config[name], again.config[name])]
        if changed:
            value = own.config[changed[0]]
            raise CheckpointError(f"{model}: `{changed[0]}` is {value}, which the original layout cannot hold")
    with writing(path), hidden_folder_beside(path) as hidden:
        file = Path(hidden) / path.name
        save_tensors(tensors, file)
        add_license(file, license_of(pipe) or "")
        file.replace(path)
    return (
        f"diff2lip convert {path} --output DIR --head-channels {config.attention_head_dim}"
        f" --norm-groups {config.norm_num_groups} --sample-size {config.sample_size}"
    )


def _same(value: object, other: object) -> bool:
    """Returns whether two settings are equal; tuples become lists in files."""
    return json.dumps(value) == json.dumps(other)
