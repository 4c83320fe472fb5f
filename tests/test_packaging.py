"""What `setup.py` declares: every imported package, the files that come along, and one version number."""

import ast
import importlib.metadata
import re
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml

import diff2lip_diffusers

REPOSITORY = Path(__file__).parent.parent
PACKAGE = REPOSITORY / "diff2lip_diffusers"
# Packages that are imported under another name than they are installed by.
DISTRIBUTIONS = {
    "c2pa": "c2pa-python",
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "yaml": "pyyaml",
    "skimage": "scikit-image",
    "livekit": "livekit-agents",
    "pipecat": "pipecat-ai",
}
FIRST_PARTY = {"diff2lip_diffusers", "diff2lip_command", "helpers"}


@cache
def setup_arguments() -> dict:
    """The arguments of `setup()` that are written out as literals."""
    calls = [node for node in ast.walk(ast.parse((REPOSITORY / "setup.py").read_text())) if isinstance(node, ast.Call)]
    call = next(node for node in calls if isinstance(node.func, ast.Name) and node.func.id == "setup")
    literals = {}
    for keyword in call.keywords:
        try:
            literals[keyword.arg] = ast.literal_eval(keyword.value)
        except ValueError:
            continue
    return literals


def distribution_names(requirements: list[str]) -> set[str]:
    return {canonical(re.split(r"[<>=!~;\[ ]", requirement)[0]) for requirement in requirements}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported_by(files: list[Path], only_when_loaded: bool = False) -> dict[str, str]:
    """Foreign distributions by name, each with a file that imports it.

    Args:
        files: Python files.
        only_when_loaded: leaves out imports inside functions, which run later or never.
    """
    found = {}
    for path in files:
        tree = ast.parse(path.read_text())
        inside = {id(node) for function in functions_of(tree) for node in ast.walk(function)}
        for node in ast.walk(tree):
            if only_when_loaded and id(node) in inside:
                continue
            for module in modules_of(node):
                root = module.split(".")[0]
                if root not in sys.stdlib_module_names and root not in FIRST_PARTY:
                    found[canonical(DISTRIBUTIONS.get(root, root))] = str(path.relative_to(REPOSITORY))
    return found


def loading(files: list[Path]) -> dict[str, str]:
    return imported_by(files, only_when_loaded=True)


def functions_of(tree: ast.AST) -> list[ast.AST]:
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))]


def modules_of(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level and node.module:
        return [node.module]
    return []


REQUIRED = distribution_names(setup_arguments()["install_requires"])
EXTRAS = {name: distribution_names(needed) for name, needed in setup_arguments()["extras_require"].items()}
SOURCES = sorted(PACKAGE.rglob("*.py"))


def test_what_loads_with_a_module_is_required():
    # Loaded by `serving` and `serving_live`, after they looked for Gradio and aiortc.
    pages = [path for path in SOURCES if path.parent.name in ("app", "page")]
    of_agents = [path for path in SOURCES if path.parent.name == "integrations"]  # for those who have these
    others = [path for path in SOURCES if path not in pages + of_agents]
    assert {name: path for name, path in loading(others).items() if name not in REQUIRED} == {}
    assert loading(pages).keys() - REQUIRED <= {"gradio", "aiortc", "aiohttp"}
    assert loading(of_agents).keys() - REQUIRED <= {"livekit-agents", "pipecat-ai"}


def test_every_import_is_required_or_in_an_extra():
    declared = REQUIRED.union(*EXTRAS.values())
    assert {name: path for name, path in imported_by(SOURCES).items() if name not in declared} == {}


def test_every_requirement_is_imported():
    assert REQUIRED - imported_by(SOURCES).keys() == set()


def test_every_import_of_the_tests_comes_with_the_extra_for_developers():
    tests = sorted((REPOSITORY / "tests").rglob("*.py"))
    skipped_without = {"torchaudio", "spandrel", "torchvision", "playwright", "livekit-agents", "pipecat-ai", "ray"}
    of_tests = {"fuzz"}
    declared = REQUIRED | EXTRAS["dev"] | skipped_without | of_tests
    assert {name: path for name, path in imported_by(tests).items() if name not in declared} == {}


def test_the_extra_for_developers_brings_speech_and_adapters():
    assert EXTRAS["corpus"] | EXTRAS["lora"] <= EXTRAS["dev"]


def test_the_extra_torchaudio_takes_the_torch_that_it_was_built_for():
    """torchaudio itself requires none: without a bound, pip would take the newest torch beside an older torchaudio."""
    ranges = dict(
        re.match(r"(\w+)(.*)", needed).groups() for needed in setup_arguments()["extras_require"]["torchaudio"]
    )
    assert ranges["torch"] == ranges["torchaudio"] and "<" in ranges["torch"]


def test_every_requirement_for_developers_is_pinned():
    pinned = distribution_names((REPOSITORY / "constraints.txt").read_text().splitlines())
    assert (REQUIRED | EXTRAS["dev"]) - pinned == set()


def test_the_type_marker_is_packaged():
    assert (PACKAGE / "py.typed").is_file()
    assert "py.typed" in setup_arguments()["package_data"]["diff2lip_diffusers"]
    assert "Typing :: Typed" in setup_arguments()["classifiers"]


def test_the_entry_point_is_a_function():
    (script,) = setup_arguments()["entry_points"]["console_scripts"]
    name, _, target = script.partition(" = ")
    entry_point = importlib.metadata.EntryPoint(name, target, "console_scripts")
    assert name == "diff2lip" and callable(entry_point.load())


def test_the_citation_names_this_version():
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    assert citation["version"] == diff2lip_diffusers.__version__
    assert citation["license"] == setup_arguments()["license"]


@pytest.mark.parametrize(
    "path",
    [*sorted((REPOSITORY / ".github").rglob("*.yml")), REPOSITORY / ".pre-commit-config.yaml"],
    ids=lambda path: path.name,
)
def test_the_targets_that_other_tools_call_are_in_the_makefile(path):
    called = set(re.findall(r"(?:run|entry): make ([\w-]+)", path.read_text()))
    targets = set(re.findall(r"^([\w-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    assert called <= targets
