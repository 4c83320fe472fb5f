"""Exports a model folder that carries its code, for people who have diffusers but not this package."""

import ast
import json
import shutil
from pathlib import Path

import torch
from diffusers import ModelMixin

from ..errors import MediaError
from ..output_paths import filling_folder
from ..portable.model_card_diff2lip import write_model_card
from .loading import load_pipeline
from .precisions import lowered, set_precision

PORTABLE = Path(__file__).parent.parent / "portable"
# Its name is in the error of those who do not trust remote code: it tells them what to install.
ENTRY_NAME = "diff2lip_diffusers"
ENTRY = '''"""Loads the pipeline from this folder, with `trust_remote_code=True`.

With `pip install diff2lip-diffusers` and `import diff2lip_diffusers`, videos can be lip-synced as well as face crops.
"""

{imports}
'''
COMPONENTS = {
    "unet": "unet_diff2lip",
    "audio_encoder": "audio_encoder_diff2lip",
    "feature_extractor": "feature_extraction_diff2lip",
}


def export_with_code(model: str | Path, output: str | Path, **loading) -> Path:
    """Writes a model folder that `DiffusionPipeline.from_pretrained(output, trust_remote_code=True)` loads.

    It needs diffusers and transformers, but not this package. diffusers copies the code of a folder file by file, so
    the folder has it where diffusers looks: the pipeline in the root, each component in its own folder.

    Args:
        model: pipeline folder, or repository on the Hub.
        output: folder to write; other files in it stay.
        **loading: further arguments of [`load_pipeline`]: `revision`, `token`, `cache_dir`, `subfolder`, `lora`.

    Returns:
        `output`.

    Raises:
        Diff2LipError: if there is no such pipeline.
        MediaError: if the folder cannot be written.
    """
    output = Path(output)
    if output.exists() and not output.is_dir():
        raise MediaError(output, "is a file; name a folder for the model with its code")
    pipe = load_pipeline(model, device="cpu", dtype="fp32", **loading)
    with filling_folder(output) as folder:
        _halve_if_exact(pipe.unet)
        _halve_if_exact(pipe.audio_encoder)
        pipe.save_pretrained(folder)
        _copy_code(folder)
        _name_code(folder / "model_index.json")
        write_model_card(pipe, folder, "path/of/this/folder", remote_code=True)
    return output


def _halve_if_exact(network: ModelMixin) -> None:
    """Sets half precision where it holds all weights exactly: what was stored so does not grow."""
    weights = lowered(network)
    if all(torch.equal(weight, weight.half().float()) for weight in weights):
        set_precision(weights, torch.float16)


def _copy_code(folder: Path) -> None:
    for component, module in COMPONENTS.items():
        for name in (module, *_own_imports(module)):
            shutil.copyfile(PORTABLE / f"{name}.py", folder / component / f"{name}.py")
    modules = ["pipeline_diff2lip", *_own_imports("pipeline_diff2lip")]
    for name in modules:
        shutil.copyfile(PORTABLE / f"{name}.py", folder / f"{name}.py")
    # diffusers copies what this file imports, but not what these files import in turn.
    imports = "\n".join(f"from .{name} import *  # noqa: F403" for name in sorted(modules))
    (folder / f"{ENTRY_NAME}.py").write_text(ENTRY.format(imports=imports), encoding="utf-8")


def _own_imports(module: str) -> list[str]:
    """Names of the portable files that a portable file imports, in turn as well."""
    found: list[str] = []
    tree = ast.parse((PORTABLE / f"{module}.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level and node.module:
            found += [name for name in (node.module, *_own_imports(node.module)) if name not in found]
    return found


def _name_code(index: Path) -> None:
    """Names the files of the code in `model_index.json`, in place of this package."""
    settings = json.loads(index.read_text(encoding="utf-8"))
    settings["_class_name"] = [ENTRY_NAME, settings["_class_name"]]
    for component, module in COMPONENTS.items():
        settings[component][0] = module
    index.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
