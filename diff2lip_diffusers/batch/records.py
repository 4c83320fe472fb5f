"""Result records; detects changed settings."""

import hashlib
import importlib.metadata
import json
import math
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import astuple, fields
from numbers import Real
from pathlib import Path

import numpy as np
import torch

from ..boxes import FaceBox
from ..errors import Diff2LipError
from ..lipsync.job import SyncResult
from ..lipsync.options import OLD_NAMES, OPTIONS, SyncOptions
from ..media.reader import exact_rate
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from ..stores.urls import Location, Url
from .pair_records import DONE, FAILED
from .pairs import Pair

try:
    import resource
except ImportError:  # Windows
    resource = None

PACKAGES = ("diff2lip-diffusers", "torch", "diffusers", "av")


class BatchRecords:
    """Makes the records of one process. They hold plain JSON values.

    Args:
        pipe: the pipeline that generates the frames.
        process_id: unique name of this process.
        process_index: its number in its group, from 0.
    """

    def __init__(self, pipe: Diff2LipPipeline, process_id: str, process_index: int):
        self._fingerprint = fingerprint(pipe)
        self._common = {
            "model": str(pipe.config.get("_name_or_path") or ""),
            "versions": {name: importlib.metadata.version(name) for name in PACKAGES}
            | {"python": platform.python_version()},
            "process": process_id,
            "process_index": process_index,
        }

    def settings(self, pair: Pair, options: SyncOptions) -> dict:
        """The settings that the output of a pair depends on; defaults are left out."""
        values = {option.name: (getattr(options, option.name), option.default) for option in fields(options)}
        values["fps"] = options.fps and exact_rate(options.fps), None
        chosen = {
            name: _as_json(value)
            for name, (value, default) in values.items()
            if OPTIONS[name].changes_output and _as_json(value) != _as_json(default)
        }
        names = {"video": pair.video.name, "audio": (pair.audio or pair.video).name}
        return {**names, "model": self._fingerprint, **chosen}

    def done(self, pair: Pair, options: SyncOptions, started_s: float, result: SyncResult, output_bytes: int) -> dict:
        """The record of a pair whose output is in place."""
        numbers = {
            "num_frames": result.num_frames,
            "output_bytes": output_bytes,
            "num_faceless_frames": result.num_faceless_frames,
            "fps": str(result.fps),
            "duration_s": round(result.duration_s, 3),
            "speech_s": round(result.speech_s, 3),
            "stage_s": {stage: round(seconds, 3) for stage, seconds in result.stage_s.items()},
            "peak_memory_mb": peak_memory_mb(),
        }
        return self._record(DONE, pair, options, started_s) | numbers

    def begun(self, pair: Pair, options: SyncOptions, started_s: float) -> dict:
        """The record of a pair that ends its process, for whoever sees the process die to complete."""
        return self._record(FAILED, pair, options, started_s)

    def failed(self, pair: Pair, options: SyncOptions, started_s: float, error: Exception) -> dict:
        """The record of a pair that failed."""
        reason = " ".join(str(error).split()) or type(error).__name__
        return self._record(FAILED, pair, options, started_s) | {"error": reason, "error_type": type(error).__name__}

    def _record(self, status: str, pair: Pair, options: SyncOptions, started_s: float) -> dict:
        return {
            "output": pair.output,
            "status": status,
            "video": str(pair.video),
            "audio": str(pair.audio or pair.video),
            "seed": int(options.seed),
            "started_s": round(started_s, 3),
            "ended_s": round(time.time(), 3),
            "settings": self.settings(pair, options),
            **self._common,
        }


def peak_memory_mb() -> float | None:
    """The most memory that this process ever had, in MB; None where the system does not tell."""
    if resource is None:
        return None
    unit_bytes = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit_bytes / 1e6, 1)


def check_same_settings(done: Mapping[str, dict], wanted: Mapping[str, dict], output_dir: Location) -> None:
    """Checks that all finished outputs were made with the settings of this call.

    Args:
        done: records of the finished outputs, by output.
        wanted: settings of this call, by output.
        output_dir: folder of the outputs.

    Raises:
        Diff2LipError: if the settings of an output differ.
    """
    recorded = {output: _with_present_names(done[output].get("settings", {})) for output in wanted if output in done}
    changed = [output for output, settings in recorded.items() if settings != wanted[output]]
    if not changed:
        return
    was, now = recorded[changed[0]], wanted[changed[0]]
    default = "the default"
    name = next(name for name in {**was, **now} if was.get(name, default) != now.get(name, default))
    difference = f"`{name}` was {was.get(name, default)}, now it is {now.get(name, default)}"
    difference = "the model, sampler or precision changed" if name == "model" else difference
    made = f" and {len(changed) - 1} more were made" if len(changed) > 1 else " was made"
    raise Diff2LipError(
        f"{output_dir}: {changed[0]}{made} with different settings: {difference};"
        " choose another folder, or delete these outputs"
    )


def _with_present_names(settings: Mapping[str, object]) -> dict[str, object]:
    """Settings that an older version may have recorded, with the options' present names."""
    return {OLD_NAMES.get(name, name): value for name, value in settings.items()}


def fingerprint(pipe: Diff2LipPipeline) -> str:
    """A digest of all in a pipeline that changes its output: weights, precision, scheduler and mel features."""
    digest = hashlib.sha256()
    parts = {"scheduler": pipe.scheduler, "unet": pipe.unet, "audio_encoder": pipe.audio_encoder}
    described = {
        **{name: [type(part).__name__, _settings_in(part.config)] for name, part in parts.items()},
        "feature_extractor": pipe.feature_extractor.to_dict(),
        "pipeline": [pipe.config["default_num_inference_steps"], pipe.config["painted_fraction"]],
        **_guidance_and_adapters(pipe),
    }
    digest.update(json.dumps(described, sort_keys=True, default=str).encode())
    for component in (pipe.unet, pipe.audio_encoder):
        for name, tensor in sorted(component.state_dict().items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


def _guidance_and_adapters(pipe: Diff2LipPipeline) -> dict[str, object]:
    """What the weights and configurations do not say; empty for pipelines without, as those of older batches."""
    parts: dict[str, object] = {}
    if pipe.config.get("default_guidance_scale", 1) > 1:
        parts["guidance_scale"] = pipe.config["default_guidance_scale"]
    if getattr(pipe.unet, "peft_config", None):
        layers = ((name, layer) for name, layer in pipe.unet.named_modules() if hasattr(layer, "active_adapters"))
        parts["adapters"] = [
            [name, {one: layer.scaling[one] for one in layer.active_adapters if one in layer.scaling}]
            for name, layer in layers
            if not layer.disable_adapters
        ]
    return parts


def _settings_in(config: Mapping[str, object]) -> dict[str, object]:
    """A configuration without diffusers' notes on versions and paths, and without what the weights show."""
    return {name: value for name, value in config.items() if not name.startswith("_") and name != "has_null_embeds"}


def _as_json(value: object) -> object:
    """A value as JSON holds it; equal numbers of different types give the same value."""
    if isinstance(value, FaceBox):
        return _as_json(astuple(value))
    if isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, str):
        return [_as_json(part) for part in value]
    if isinstance(value, Mapping):
        return {str(name): _as_json(part) for name, part in value.items()}
    if isinstance(value, Url):
        return value.name
    if isinstance(value, os.PathLike):
        return Path(value).name  # as of videos and recordings: their folder may move
    if isinstance(value, (bool, str)) or value is None:
        return value
    if isinstance(value, Real):
        number = float(value)
        return int(value) if math.isfinite(number) and value == int(value) else number  # pyright: ignore[reportArgumentType]
    return getattr(value, "__qualname__", type(value).__qualname__)
