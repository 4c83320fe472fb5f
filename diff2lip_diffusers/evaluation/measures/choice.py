"""Which groups of measures can be computed with what was given."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from ...errors import Diff2LipError
from ...syncnet import load_syncnet
from ..options import EvaluateOptions
from ..perceptual import load_distance
from ..syncnet2016.network import load_syncnet2016
from .cost import CostGroup
from .drawn_truth import check_truth
from .group import GroupFactory
from .image_features import ImageFeaturesGroup
from .inception import load_inception
from .landmarks import load_landmarks
from .lpips import LpipsGroup
from .lse import LseGroup
from .mouth import MouthGroup
from .own_sync import OwnSyncGroup
from .picture import PictureGroup
from .sharpness import SharpnessGroup
from .steadiness import SteadinessGroup
from .stored_features import ReferenceFeatures
from .table import GROUPS
from .video_features import VideoFeaturesGroup, load_i3d

# The name of the SyncNet that comes with the package and knows drawn people only.
DRAWN = "drawn"
DRAWN_SYNCNET = Path(__file__).parents[1] / "assets" / "syncnet"


def make_groups(options: EvaluateOptions) -> dict[str, GroupFactory]:
    """Returns the groups that are wanted and possible, with their networks loaded.

    Raises:
        CheckpointError: if a file of weights does not hold what it should.
        MediaError: if such a file cannot be read.
        Diff2LipError: if a package is missing.
    """
    makers = {
        "lse": _lse,
        "own_sync": _own_sync,
        "picture": _picture,
        "lpips": _lpips,
        "fid": _fid,
        "fvd": _fvd,
        "sharpness": lambda _: SharpnessGroup,
        "steadiness": lambda _: SteadinessGroup,
        "mouth": _mouth,
        "cost": lambda _: CostGroup,
    }
    made = {name: makers[name](options) for name in options.wanted_groups() if name in makers}
    return {name: factory for name, factory in made.items() if factory is not None}


def left_out(options: EvaluateOptions, made: Mapping[str, GroupFactory]) -> dict[str, str]:
    """Returns the groups that are wanted and not possible, with what they need."""
    return {name: GROUPS[name] for name in options.wanted_groups() if name not in made}


def _lse(options: EvaluateOptions) -> GroupFactory | None:
    if options.syncnet is None:
        return None
    syncnet = load_syncnet2016(options.syncnet).to(options.device)
    return partial(LseGroup, syncnet=syncnet, protocol=options.syncnet_protocol)


def _own_sync(options: EvaluateOptions) -> GroupFactory | None:
    if options.own_syncnet is None:
        return None
    path = DRAWN_SYNCNET if options.own_syncnet == DRAWN else options.own_syncnet
    syncnet = load_syncnet(path)
    syncnet.to(options.device)  # pyright: ignore[reportArgumentType]  # ModelMixin.to has no true annotation
    return partial(OwnSyncGroup, syncnet=syncnet)


def _picture(options: EvaluateOptions) -> GroupFactory:
    try:
        import torchmetrics  # noqa: F401
    except ImportError as error:
        cure = 'pip install "diff2lip-diffusers[evaluate]"'
        raise Diff2LipError(f"picture measures need the package torchmetrics: {cure}") from error
    return PictureGroup


def _mouth(options: EvaluateOptions) -> GroupFactory | None:
    if options.truth is None and options.landmarks is None:
        return None
    truth = None if options.truth is None else check_truth(options.truth)
    detect = None if options.landmarks is None else load_landmarks(options.landmarks, options.device)
    return partial(MouthGroup, truth=truth, detect=detect)


def _lpips(options: EvaluateOptions) -> GroupFactory | None:
    if options.lpips is None:
        return None
    distance = load_distance(options.lpips, options.device)
    return partial(LpipsGroup, distance=distance, device=options.device)


def _fid(options: EvaluateOptions) -> GroupFactory | None:
    if options.inception is None:
        return None
    network = load_inception(options.inception, options.device)
    return partial(ImageFeaturesGroup, network=network, references=ReferenceFeatures(), device=options.device)


def _fvd(options: EvaluateOptions) -> GroupFactory | None:
    if options.i3d is None:
        return None
    network = load_i3d(options.i3d, options.device)
    return partial(VideoFeaturesGroup, network=network, references=ReferenceFeatures(), device=options.device)
