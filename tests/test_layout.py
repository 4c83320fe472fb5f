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
    "hub", "syncnet", "sync_score", "worker_processes",
    "corpus.espeak_process", "corpus.espeak", "corpus.grammars", "corpus.heldout_grammars", "corpus.sentences",
    "corpus.nonsense",
    "corpus.voices", "corpus.visemes", "corpus.mouth_curve", "corpus.acoustics", "corpus.utterance",
    "corpus.identity", "corpus.motion", "corpus.brushes", "corpus.lighting", "corpus.head_view", "corpus.hair",
    "corpus.skin", "corpus.mouth", "corpus.eyes", "corpus.scene", "corpus.head",
    "corpus.corpus_folder", "corpus.mouth_table", "corpus.make_corpus",
    "metrics.agreement", "metrics.mouth_opening", "metrics.drawn_clips", "metrics.mouth_sync",
    "prepare.prepare_options", "prepare.source_videos", "prepare.sharpness", "prepare.stretches",
    "prepare.clip_files", "prepare.clip_sync", "prepare.video_sound", "prepare.report_page", "prepare.set_folder",
    "prepare.prepare_video", "prepare.prepare_videos",
    "training.config_file", "training.config_checks", "training.step_log", "training.audio_encoder_folder",
    "training.audio_pretraining",
    "training.losses", "training.diffusion", "training.discriminator", "training.checkpoints",
    "training.run_folder",
    "training.loss_weights", "training.model_config", "training.lora", "training.perceptual", "training.export",
    "training.training_clips", "training.training_set", "training.config", "training.model_folder",
    "training.first_weights",
    "training.denoiser", "training.objective", "training.previews", "training.trainer",
    "training.sync_windows", "training.sync_accuracy", "training.syncnet_config", "training.syncnet_trainer",
    "demo.contact_sheet", "demo.demo_clip", "demo.run_demo",
    "cli_options", "cli_runs", "cli_sync", "cli_batch", "cli_corpus", "cli_prepare", "cli_train", "cli_train_syncnet",
    "cli", "__main__",
]  # fmt: skip
# What a user of the plugin never waits for: imported where it is used.
HEAVY = ("corpus", "prepare", "training", "metrics", "demo")
OPTIONAL = {"gradio", "matplotlib", "face_alignment", "mediapipe", "torchaudio", "decord", "skimage", "tensorboard"}
PORTABLE = [name for name in ORDER if name.endswith("_diff2lip")]


def path_of(module: str) -> Path:
    return PACKAGE.joinpath(*module.split(".")).with_suffix(".py")


def own_imports(module: str) -> set[str]:
    """The modules of ours that a module imports, with their folder: `corpus.head`."""
    tree = ast.parse(path_of(module).read_text())
    folder = module.split(".")[:-1]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            above = folder[: len(folder) - (node.level - 1)]
            found |= {".".join([*above, node.module or alias.name]) for alias in node.names}
    return found


def test_every_module_has_its_place():
    files = [path.relative_to(PACKAGE).with_suffix("") for path in PACKAGE.rglob("*.py")]
    assert {".".join(file.parts) for file in files if file.name != "__init__"} == set(ORDER)


@pytest.mark.parametrize("module", ORDER)
def test_imports_go_down(module):
    assert own_imports(module) <= set(ORDER[: ORDER.index(module)])


@pytest.mark.parametrize("module", PORTABLE)
def test_portable_modules_stand_alone(module):
    tree = ast.parse(path_of(module).read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    roots = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names)
    assert not own_imports(module)
    assert roots <= {"numpy", "torch", "torchaudio", "diffusers", "transformers", "PIL"}


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
