"""Writes a personal model: the pipeline folder with its card and license, and the report."""

from dataclasses import asdict, replace
from pathlib import Path

from ..hub import load_pipeline
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from ..training.run_folder import LORA_NAME
from .base_weights import CARD_NAME, LICENSE_FILE, BaseWeights
from .guidance import choose_guidance
from .held_out import STEPS
from .inputs_record import InputsRecord
from .material import Material
from .model_card import model_card
from .person_folder import REPORT_NAME, PersonFolder
from .person_trainer import TrainedPerson
from .report_page import report_page
from .results import measure

ADAPTER_FILE = "pytorch_lora_weights.safetensors"


def write_personal_model(
    folder: PersonFolder, inputs: InputsRecord, base: BaseWeights, material: Material, trained: TrainedPerson
) -> None:
    """Measures the best weights and writes them, all files or none.

    Raises:
        MediaError: if the folder cannot be written; the state stays, so that the same command tries again.
    """
    adapter = trained.weights / LORA_NAME / ADAPTER_FILE
    pipe = _loaded(base.name)
    if adapter.exists():
        _merge_adapter(pipe, adapter)
    else:
        _take_weights(pipe, _loaded(trained.weights))
    pipe.to(trained.device)
    guidance_scale = choose_guidance(pipe, trained.held_out)
    results, painted = measure(base.name, pipe, trained.held_out)
    results = replace(
        results,
        guidance_scale=guidance_scale,
        step=trained.best.step,
        steps=trained.steps,
        minutes=trained.evaluations[-1].seconds / 60,
    )
    page = report_page(base, material, results, painted, trained.held_out, trained.evaluations)
    card = model_card(base, material, results, inputs.consent, STEPS)
    with folder.publishing(inputs, asdict(results)) as hidden:
        pipe.save_pretrained(hidden)
        (hidden / CARD_NAME).write_text(card, encoding="utf-8")
        (hidden / REPORT_NAME).write_text(page, encoding="utf-8")
        if base.license_text is not None:
            (hidden / LICENSE_FILE).write_text(base.license_text, encoding="utf-8")
        if adapter.exists():
            (hidden / LORA_NAME).mkdir()
            (hidden / LORA_NAME / ADAPTER_FILE).write_bytes(adapter.read_bytes())


def _loaded(weights: Path | str) -> Diff2LipPipeline:
    pipe = load_pipeline(weights, device="cpu", dtype="fp32")
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _take_weights(pipe: Diff2LipPipeline, trained: Diff2LipPipeline) -> None:
    """Takes the trained networks; scheduler and settings stay those of the base."""
    pipe.register_modules(unet=trained.unet, audio_encoder=trained.audio_encoder)


def _merge_adapter(pipe: Diff2LipPipeline, adapter: Path) -> None:
    pipe.unet.load_lora_adapter(str(adapter.parent), prefix=None, use_safetensors=True)
    pipe.unet.fuse_lora()
    pipe.unet.unload_lora()
