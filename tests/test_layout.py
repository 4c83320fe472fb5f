"""The package's shape: imports go down only, and importing it loads nothing heavy or optional."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "diff2lip_diffusers"

# From the ground up; a module may import those before it.
ORDER = [
    "errors",
    "unet_diff2lip", "audio_encoder_diff2lip", "feature_extraction_diff2lip", "pipeline_diff2lip",
    "original_checkpoint", "schedulers",
    "overlap", "stage_timer", "heap",
    "faces", "pixel_formats", "pictures", "decoded_pictures", "image_files", "media_streams", "media",
    "driving_video", "clip_length", "speech",
    "output_paths", "encoders", "soundtrack", "picture_file", "media_writer", "image_writer",
    "face_smoothing", "face_search", "face_tracks", "detections_file", "paste",
    "mtcnn_nets", "mtcnn", "face_detectors",
    "sync_options", "face_boxes", "job_timing", "sync_job", "sampling", "lipsync",
    "option_values", "pair_options", "pairs", "pair_lists", "pair_files",
    "live_process", "claims", "results_log", "work_board",
    "process_group", "batch_folder", "batch_records", "split_clip", "batch_workers", "batch", "batch_status",
    "hub", "demo",
    "cli_options", "cli_sync", "cli_batch", "cli", "__main__",
]  # fmt: skip
PORTABLE = [name for name in ORDER if name.endswith("_diff2lip")]


def own_imports(module: str) -> set[str]:
    tree = ast.parse((PACKAGE / f"{module}.py").read_text())
    return {
        node.module or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
    }


def test_every_module_has_its_place():
    assert {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"} == set(ORDER)


@pytest.mark.parametrize("module", ORDER)
def test_imports_go_down(module):
    assert own_imports(module) <= set(ORDER[: ORDER.index(module)])


@pytest.mark.parametrize("module", PORTABLE)
def test_portable_modules_stand_alone(module):
    tree = ast.parse((PACKAGE / f"{module}.py").read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    roots = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names)
    assert not own_imports(module)
    assert roots <= {"numpy", "torch", "torchaudio", "diffusers", "transformers", "PIL"}


def test_import_registers_with_diffusers_silently_and_loads_nothing_optional():
    script = """if True:
        import json, sys
        import diff2lip_diffusers, diffusers
        assert diffusers.Diff2LipPipeline is diff2lip_diffusers.Diff2LipPipeline
        assert diffusers.pipelines.diff2lip_diffusers is diff2lip_diffusers
        optional = {"gradio", "matplotlib", "face_alignment", "mediapipe", "torchaudio", "decord", "skimage"}
        print(json.dumps(sorted(optional & set(sys.modules))))
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
    assert done.stderr == ""
