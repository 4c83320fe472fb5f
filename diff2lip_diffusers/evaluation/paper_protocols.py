"""Lip-syncs a list of pairs as a paper does, so that the results can be judged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..batch.pairs import RESULTS_NAME, Pair
from ..batch.presets import PRESETS
from ..batch.run import sync_batch
from ..portable.pipeline_diff2lip import Diff2LipPipeline

CROSS, RECONSTRUCTION = "cross", "reconstruction"


@dataclass(frozen=True)
class PaperProtocol:
    """How a paper makes the videos that it judges.

    Attributes:
        modes: `"cross"`, each video with the speech of its pair; `"reconstruction"`, with its own speech from its
            first frame alone.
        options: fields of `SyncOptions`.
    """

    modes: tuple[str, ...]
    options: dict = field(default_factory=dict)


PAPER_PROTOCOLS: dict[str, PaperProtocol] = {
    "diff2lip-voxceleb2": PaperProtocol((CROSS, RECONSTRUCTION), PRESETS["voxceleb2"]),
    "diff2lip-lrw": PaperProtocol((CROSS, RECONSTRUCTION), PRESETS["lrw"]),
    "wav2lip-unpaired": PaperProtocol((CROSS,), {"length": "shortest"}),
}


def lip_sync_by_protocol(
    pipe: Diff2LipPipeline,
    name: str,
    pairs: Sequence[Pair],
    folder: str | Path,
    on_progress: Callable[[int, int, int], None] | None = None,
) -> dict[str, Path]:
    """Lip-syncs the pairs in each mode of a protocol; returns the `results.jsonl` by mode. It resumes as a batch does.

    Args:
        pipe: on the device and in the precision to work in.
        name: a key of `PAPER_PROTOCOLS`.
        pairs: as the paper lists them; both modes give an output the same name.
        folder: for the outputs, a folder a mode.
        on_progress: called every few seconds as `(done, failed, open)`, for each mode.

    Raises:
        ValueError: if there is no such protocol.
        Diff2LipError: as `sync_batch`.
    """
    if name not in PAPER_PROTOCOLS:
        raise ValueError(f"`name` is {name!r}, known are {', '.join(PAPER_PROTOCOLS)}")
    protocol = PAPER_PROTOCOLS[name]
    for mode in protocol.modes:
        own = [Pair(pair.video, None, pair.output, pair.options, pair.line) for pair in pairs]
        chosen = own if mode == RECONSTRUCTION else pairs
        sync_batch(pipe, chosen, Path(folder) / mode, on_progress=on_progress, mode=mode, **protocol.options)
    return {mode: Path(folder) / mode / RESULTS_NAME for mode in protocol.modes}
