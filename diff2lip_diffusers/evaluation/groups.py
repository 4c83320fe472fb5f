"""Which groups of measures can be computed with what was given."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from ..errors import Diff2LipError
from ..syncnet import load_syncnet
from .cost import CostGroup
from .measure_group import GroupFactory
from .measures import GROUPS
from .options import EvaluateOptions
from .own_sync import OwnSyncGroup
from .picture import PictureGroup
from .sharpness import SharpnessGroup
from .steadiness import SteadinessGroup

DRAWN = "drawn"


def make_groups(options: EvaluateOptions) -> dict[str, GroupFactory]:
    """Returns the groups that are wanted and possible, with their networks loaded.

    Raises:
        CheckpointError: if a file of weights does not hold what it should.
        MediaError: if such a file cannot be read.
        Diff2LipError: if a package is missing.
    """
    makers = {
        "own_sync": _own_sync,
        "picture": _picture,
        "sharpness": lambda _: SharpnessGroup,
        "steadiness": lambda _: SteadinessGroup,
        "cost": lambda _: CostGroup,
    }
    made = {name: makers[name](options) for name in options.wanted_groups() if name in makers}
    return {name: factory for name, factory in made.items() if factory is not None}


def left_out(options: EvaluateOptions, made: Mapping[str, GroupFactory]) -> dict[str, str]:
    """Returns the groups that are wanted and not possible, with what they need."""
    return {name: GROUPS[name] for name in options.wanted_groups() if name not in made}


def _own_sync(options: EvaluateOptions) -> GroupFactory | None:
    if options.own_syncnet is None:
        return None
    path = Path(__file__).parent / "assets" / "syncnet" if options.own_syncnet == DRAWN else options.own_syncnet
    return partial(OwnSyncGroup, syncnet=load_syncnet(path).to(options.device))


def _picture(options: EvaluateOptions) -> GroupFactory:
    try:
        import torchmetrics  # noqa: F401
    except ImportError as error:
        cure = 'pip install "diff2lip-diffusers[evaluate]"'
        raise Diff2LipError(f"picture measures need the package torchmetrics: {cure}") from error
    return PictureGroup
