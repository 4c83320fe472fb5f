"""Lip-syncs drawn people, whose face boxes are known, and keeps the records of a batch."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ..batch.pairs import RESULTS_NAME, Pair
from ..batch.records import BatchRecords
from ..lipsync.options import SyncOptions
from ..lipsync.run import sync_video
from ..output_paths import writing
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from .aligned_frames import known_boxes


def lip_sync_drawn(
    pipe: Diff2LipPipeline,
    pairs: Sequence[Pair],
    folder: Path,
    on_progress: Callable[[int, int], None] | None = None,
    **options,
) -> Path:
    """Lip-syncs the pairs of `write_people`; returns their `results.jsonl`. Finished ones are kept.

    Args:
        pipe: on the device and in the precision to work in.
        pairs: of a video with `NAME.boxes.jsonl` beside it, and speech.
        folder: for the outputs.
        on_progress: called with the numbers of pairs done and of all.
        **options: the fields of [`SyncOptions`].

    Raises:
        MediaError: if a file cannot be read or written.
    """
    results = folder / RESULTS_NAME
    with writing(results):
        folder.mkdir(parents=True, exist_ok=True)
        results.touch()
    records = BatchRecords(pipe, "drawn", 0)
    done = {json.loads(line)["output"] for line in results.read_text(encoding="utf-8").splitlines()}
    for index, pair in enumerate(pairs, start=1):
        if pair.output not in done:
            started_s = time.time()
            made = sync_video(
                pipe,
                pair.video,
                pair.audio,
                folder / pair.output,
                detections=known_boxes(Path(str(pair.video))),
                **options,
            )
            size = (folder / pair.output).stat().st_size
            record = records.done(pair, SyncOptions(**options), started_s, made, size)
            with writing(results), results.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(record) + "\n")
        if on_progress is not None:
            on_progress(index, len(pairs))
    return results
