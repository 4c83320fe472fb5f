"""The layout of the package: imports only go down, and importing it loads nothing heavy or optional."""

import ast
import json
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "diff2lip_diffusers"
ROOT = "root"
# From the bottom up: a folder imports from those before it. The files in the root come after the portable ones.
FOLDERS = [
    "portable",
    ROOT,
    "stores",
    "hub",
    "media",
    "provenance",
    "faces",
    "detail",
    "restoration",
    "lipsync",
    "batch",
    "corpus",
]
FOLDERS += ["evaluation", "prepare", "training", "personal", "demo", "live", "integrations", "app", "cli"]
MAX_ROOT_FILES = 15
# Users of the plugin do not wait for these: they are imported where they are used.
HEAVY = ("corpus", "prepare", "training", "personal", "evaluation", "demo", "live", "integrations", "app", "cli")
OPTIONAL = {"gradio", "matplotlib", "face_alignment", "mediapipe", "torchaudio", "decord", "skimage", "tensorboard"}
OPTIONAL |= {"spandrel", "c2pa", "aiortc", "aiohttp", "livekit", "pipecat", "s3fs", "pyarrow", "ray"}
# These import from all folders: the public names of the package, and the start of the command line.
DOORS = {"__init__", "__main__"}


def modules() -> dict[str, Path]:
    """Maps dotted names to the files of the package: `corpus.head`, or `corpus.__init__` for a folder itself."""
    return {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}


MODULES = modules()
PORTABLE = sorted(name for name in MODULES if name.startswith("portable.") and "__init__" not in name)
# diffusers copies these from a component's folder, alone.
NETWORKS = ("portable.unet_diff2lip", "portable.audio_encoder_diff2lip")


def folder_of(module: str) -> str:
    return module.split(".")[0] if "." in module else ROOT


@cache
def own_imports(module: str) -> set[str]:
    """Returns the modules of this package that a module imports."""
    parents = module.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            above = ".".join([*parents[: len(parents) - (node.level - 1)], *filter(None, [node.module])])
            inside = {f"{above}.{alias.name}".lstrip(".") for alias in node.names} & set(MODULES)
            found |= inside or {above if above in MODULES else f"{above}.__init__"}
    return found


@pytest.mark.parametrize("module", sorted(MODULES.keys() - DOORS))
def test_imports_go_down_the_folders(module):
    allowed = FOLDERS[: FOLDERS.index(folder_of(module)) + 1]
    assert {name for name in own_imports(module) if folder_of(name) not in allowed} == set()


def test_no_import_cycle():
    TopologicalSorter({module: own_imports(module) for module in MODULES}).prepare()


def test_the_root_has_few_files():
    assert len([name for name in MODULES if "." not in name]) <= MAX_ROOT_FILES


@pytest.mark.parametrize("module", PORTABLE)
def test_portable_modules_import_none_of_the_others(module):
    tree = ast.parse(MODULES[module].read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) if not node.level}
    roots = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names)
    assert roots <= {"numpy", "torch", "torchaudio", "diffusers", "transformers", "huggingface_hub", "PIL"}
    assert own_imports(module) <= set(PORTABLE)
    assert module.endswith("_diff2lip")


@pytest.mark.parametrize("module", [name for name in PORTABLE if name != "portable.modular_diff2lip"])
def test_portable_modules_import_directly_what_their_imports_import(module):
    """diffusers copies the files that a pipeline of a local folder imports, but not what these import in turn."""
    assert set().union(*map(own_imports, own_imports(module))) <= own_imports(module)
    assert module not in NETWORKS or not own_imports(module)


def test_import_registers_with_diffusers_silently_and_loads_nothing_optional():
    script = f"""if True:
        import json, sys
        import diff2lip_diffusers, diffusers
        optional = {sorted(OPTIONAL)}
        heavy = {HEAVY}
        assert diffusers.Diff2LipPipeline is diff2lip_diffusers.Diff2LipPipeline
        assert diffusers.pipelines.diff2lip_diffusers is diff2lip_diffusers
        ours = [name.partition(".")[2] for name in sys.modules if name.startswith("diff2lip_diffusers.")]
        found = [name for name in ours if name.split(".")[0] in heavy]
        print(json.dumps(sorted(found) + [name for name in optional if name in sys.modules]))
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
    assert done.stderr == ""
