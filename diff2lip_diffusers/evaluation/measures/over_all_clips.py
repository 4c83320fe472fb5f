"""Measures that compare all outputs of a system with all their references: FID, KID and FVD."""

from collections.abc import Collection, Sequence
from pathlib import Path

from ..clips import Unmatched
from .feature_distances import Moments, frechet_distance, kernel_distance
from .stored_features import OUTPUT, REFERENCE, StoredFeatures, features_file, features_place

ALL_CLIPS = "all clips"
UNITS = {"fid": "frames", "fid_painted": "frames with a face", "fvd": "windows of 16 frames"}
# By group, the Fréchet distances and the kernel distances that belong to them.
DISTANCES: dict[str, dict[str, str | None]] = {
    "fid": {"fid": "kid", "fid_painted": "kid_painted"},
    "fvd": {"fvd": None},
}


def measure_over_all_clips(
    folders: Sequence[Path], systems: Sequence[str], groups: Collection[str]
) -> tuple[dict[str, dict[str, float]], list[Unmatched]]:
    """Returns the numbers of each system by measure, and what could not be measured.

    A system is compared on the clips that it has, so systems that lack clips are compared with other references.
    Memory does not grow with the number of clips.

    Args:
        folders: with the features of each clip.
        systems: their names.
        groups: that were computed.
    """
    found: dict[str, dict[str, float]] = {system: {} for system in systems}
    problems = []
    for system in systems:
        for measures in (DISTANCES[group] for group in groups if group in DISTANCES):
            for frechet, kernel in measures.items():
                places = [features_place(folder, system) for folder in folders]
                outputs, references = (
                    StoredFeatures([features_file(place, frechet, side) for place in places])
                    for side in (OUTPUT, REFERENCE)
                )
                if min(len(outputs), len(references)) < 2:
                    problems.append(Unmatched(ALL_CLIPS, system, f"{frechet}: needs two {UNITS[frechet]} or more"))
                else:
                    found[system] |= _distances(outputs, references, frechet, kernel)
    return found, problems


def _distances(
    outputs: StoredFeatures, references: StoredFeatures, frechet: str, kernel: str | None
) -> dict[str, float]:
    found = {frechet: frechet_distance(_moments(outputs), _moments(references))}
    if kernel is not None:
        found[kernel] = kernel_distance(outputs.rows, references.rows, len(outputs), len(references))
    return found


def _moments(features: StoredFeatures) -> Moments:
    moments = Moments(features.size)
    for batch in features.batches():
        moments.add(batch)
    return moments
