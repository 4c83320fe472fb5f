"""Pairs as a Ray Dataset, and a Ray Dataset as pairs."""

import pickle
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from ...stores.urls import located
from ..pair_lists import pair_of_row
from ..pairs import Pair, PairCollector

# Pairs of one video go to one worker, so many at a time: it decodes the video once.
GROUP_PAIRS = 8


def dataset_of(ray: Any, pairs: list[Pair]) -> Any:
    """A Dataset with a row for each group of pairs, which one worker takes whole.

    Args:
        ray: connected to the cluster.
        pairs: those of one video follow each other.
    """
    uses = Counter(pair.video for pair in pairs)
    groups = [[(pair, uses[pair.video] > 1) for pair in group] for group in _groups(pairs)]
    return ray.data.from_items([{"group": pickle.dumps(group)} for group in groups], override_num_blocks=len(groups))


def pairs_of(dataset: Any, root: str = ".") -> list[Pair]:
    """The pairs in a Dataset. Its columns are those of a list: `video`, and optionally `audio`, `output` and options.

    Args:
        dataset: any Ray Dataset, such as `ray.data.read_parquet` gives.
        root: folder or URL that names in it are relative to.

    Raises:
        PairListError: if rows make no sense, or give the same output twice.
    """
    collector, place = PairCollector(), located(root)
    for number, row in enumerate(dataset.iter_rows(), start=1):
        collector.add(f"row {number}", partial(pair_of_row, partial(dict, row), place, number))
    return collector.checked("the dataset")


def is_dataset(pairs: object) -> bool:
    """Whether pairs are a Ray Dataset."""
    return type(pairs).__module__.startswith("ray.data.")


def _groups(pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
    group: list[Pair] = []
    for pair in pairs:
        if group and (pair.video != group[0].video or len(group) == GROUP_PAIRS):
            yield group
            group = []
        group.append(pair)
    if group:
        yield group
