"""The names that users and saved folders rely on: they stay importable wherever their modules move."""

import ast
import importlib
import json
import re
from pathlib import Path

import pytest
import torch
from diffusers import DiffusionPipeline

import diff2lip_diffusers
from diff2lip_diffusers.demo.demo_clip import demo_model_folder

REPOSITORY = Path(__file__).parent.parent
PUBLIC = {
    "AudioTooShortError", "BatchResult", "BatchStatus", "CheckpointError", "Detection", "Diff2LipAudioEncoder",
    "Diff2LipError", "Diff2LipFeatureExtractor", "Diff2LipPipeline", "Diff2LipPipelineOutput",
    "Diff2LipUNet2DConditionModel", "FaceBox", "FaceNotFoundError", "MediaError", "NoAudioError", "Pair",
    "PairListError", "RayCluster", "SyncOptions", "SyncResult", "batch_status", "convert_checkpoint",
    "load_face_detector", "load_pipeline", "read_pairs", "sync_batch", "sync_video",
}  # fmt: skip
# Names outside `__all__` that the README or a docstring tells users to import.
DOCUMENTED = [
    ("diff2lip_diffusers.media", "read_audio"),
    ("diff2lip_diffusers.media.reader", "read_audio"),
    ("diff2lip_diffusers.training.trainer", "train"),
    ("diff2lip_diffusers.schedulers", "make_scheduler"),
    ("diff2lip_diffusers.schedulers", "original_scheduler"),
    ("diff2lip_diffusers.cli", "main"),
]
SCRIPTS = sorted(
    path
    for folder in ("benchmarks", "conversion", "docs", "examples", "recipes")
    for path in (REPOSITORY / folder).rglob("*.py")
)
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md")), REPOSITORY / "model_card.md"]


def own_imports(code: str) -> set[tuple[str, str | None]]:
    """(module, name) of every import of this package; the name is None for `import module`."""
    found: set[tuple[str, str | None]] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            found |= {(node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {(alias.name, None) for alias in node.names}
    return {entry for entry in found if entry[0].split(".")[0] == "diff2lip_diffusers"}


# Examples for those who have a package of voice agents.
OF_AGENTS = {"livekit_avatar.py": "livekit.agents", "pipecat_face.py": "pipecat"}


def unresolved(imports: set[tuple[str, str | None]]) -> list[str]:
    missing = []
    for module, name in sorted(imports, key=str):
        try:
            found = importlib.import_module(module)
            if name is not None and not hasattr(found, name):
                importlib.import_module(f"{module}.{name}")
        except ImportError:
            missing.append(f"{module}: {name}")
    return missing


def test_no_public_name_is_lost():
    assert PUBLIC - set(diff2lip_diffusers.__all__) == set()
    assert [name for name in diff2lip_diffusers.__all__ if not hasattr(diff2lip_diffusers, name)] == []


@pytest.mark.parametrize(("module", "name"), DOCUMENTED)
def test_documented_names_import(module, name):
    assert callable(getattr(importlib.import_module(module), name))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_imports_of_the_scripts_resolve(path):
    if path.name in OF_AGENTS:
        pytest.importorskip(OF_AGENTS[path.name])
    assert unresolved(own_imports(path.read_text())) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_imports_in_the_python_code_of_a_page_resolve(path):
    blocks = re.findall(r"^```python\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE)
    assert unresolved(set().union(*map(own_imports, blocks))) == []


def test_the_readme_shows_python_code():
    assert "```python\n" in (REPOSITORY / "README.md").read_text()


def test_a_saved_folder_names_the_package_and_loads_through_diffusers():
    """The shipped weights were saved before the modules moved into folders."""
    folder = demo_model_folder()
    index = json.loads((folder / "model_index.json").read_text())
    assert {entry[0] for name, entry in index.items() if name in ("unet", "audio_encoder", "feature_extractor")} == {
        "diff2lip_diffusers"
    }
    pipe = DiffusionPipeline.from_pretrained(folder)
    assert type(pipe) is diff2lip_diffusers.Diff2LipPipeline
    assert type(pipe.unet) is diff2lip_diffusers.Diff2LipUNet2DConditionModel
    assert type(pipe.audio_encoder) is diff2lip_diffusers.Diff2LipAudioEncoder
    assert type(pipe.feature_extractor) is diff2lip_diffusers.Diff2LipFeatureExtractor
    weights = [*pipe.unet.parameters(), *pipe.audio_encoder.parameters()]
    assert all(not weight.is_meta and torch.isfinite(weight).all() for weight in weights)


@pytest.mark.parametrize(
    "name",
    ["Diff2LipAudioEncoder", "Diff2LipFeatureExtractor", "Diff2LipPipeline", "Diff2LipUNet2DConditionModel"],
)
def test_saved_folders_will_name_the_package_alone(name):
    assert getattr(diff2lip_diffusers, name).__module__ == "diff2lip_diffusers"
