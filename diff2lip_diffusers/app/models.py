"""The models that the page offers, loaded when they are first used."""

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

from ..demo.demo_clip import demo_model_folder, teacher_folder
from ..errors import Diff2LipError
from ..hub import load_pipeline
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from ..schedulers import SCHEDULERS, make_scheduler
from .settings import DEMO_MODEL, AppSettings

MODELS_OWN, SUITED = "the model's own", "what suits the model"
# Takes few steps with any model, except for one that was made for even fewer, with its own scheduler.
FAST_SCHEDULER, FEW_STEPS = "dpmsolver++", 4
DEFAULT_SCHEDULER = SUITED
SCHEDULER_NAMES = (SUITED, *SCHEDULERS, MODELS_OWN)
# Pipelines kept in memory.
MAX_LOADED = 2


class Models:
    """Models by name: those of the settings, and those that people made of themselves.

    Args:
        settings: of the page.
    """

    def __init__(self, settings: AppSettings):
        self._settings = settings
        self._personal: dict[str, dict[str, Path]] = {}
        self._loaded: OrderedDict[str, tuple[Diff2LipPipeline, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def names(self, person: str = "") -> list[str]:
        """What a person can choose from."""
        with self._lock:
            own = self._personal.get(person, {})
            return [*self._settings.models, *(name for name, folder in own.items() if folder.is_dir())]

    def add(self, person: str, name: str, folder: Path) -> None:
        """Adds a model that only one person sees, until its folder is deleted."""
        with self._lock:
            self._personal = {
                each: kept
                for each, models in self._personal.items()
                if (kept := {label: path for label, path in models.items() if path.is_dir()})
            }
            self._personal.setdefault(person, {})[name] = folder

    def source(self, person: str, name: str) -> str | Path:
        """Folder or repository of a model.

        Raises:
            Diff2LipError: if the person has no such model.
        """
        with self._lock:
            source = self._settings.models.get(name) or self._personal.get(person, {}).get(name)
        if source is None or (name not in self._settings.models and not Path(source).is_dir()):
            raise Diff2LipError(f"There is no model {name!r}; choose one of the list.")
        return source

    def training_source(self, person: str, name: str) -> str | Path:
        """What the training of a model of a person starts from: a model, or the teacher that it was distilled from.

        Raises:
            Diff2LipError: if the person has no such model.
        """
        source = self.source(person, name)
        return teacher_folder() if source == demo_model_folder() else source

    def pipeline(self, person: str, name: str, scheduler: str) -> tuple[Diff2LipPipeline, dict[str, Any]]:
        """A pipeline with a scheduler, and the number of steps that suits it; for one job at a time.

        Raises:
            Diff2LipError: if there is no such model or scheduler, or it cannot be loaded.
        """
        source = str(self.source(person, name))
        if scheduler not in SCHEDULER_NAMES:
            raise Diff2LipError(f"There is no scheduler {scheduler!r}; choose one of the list.")
        pipe, own_scheduler = self._pipeline_of(source, name)
        if scheduler == SUITED:
            own_steps: int = pipe.config["default_num_inference_steps"]
            scheduler = MODELS_OWN if own_steps <= FEW_STEPS else FAST_SCHEDULER
        if scheduler == MODELS_OWN:
            pipe.scheduler = type(own_scheduler).from_config(own_scheduler.config)
            return pipe, {}
        pipe.scheduler = make_scheduler(scheduler, own_scheduler.config)
        return pipe, {"num_inference_steps": SCHEDULERS[scheduler].steps}

    def _pipeline_of(self, source: str, name: str) -> tuple[Diff2LipPipeline, Any]:
        if source not in self._loaded:
            dtype = "fp32" if name == DEMO_MODEL else self._settings.dtype
            pipe = load_pipeline(source, self._settings.device, dtype)
            self._loaded[source] = pipe, pipe.scheduler
        self._loaded.move_to_end(source)
        while len(self._loaded) > MAX_LOADED:
            self._loaded.popitem(last=False)
        return self._loaded[source]
