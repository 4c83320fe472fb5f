#!/usr/bin/env python3
"""Measures how often a SyncNet tells windows in sync from windows off sync, on people it was not trained on.

Every fifth window of 5 frames is judged twice: with its own audio and with other audio. Three of four times, that is
from the same clip, 5 frames away or more. If both windows are silent, nobody could tell, so the first row leaves such
pairs out; the second row has all pairs. The threshold is 0.5, or the best one for the people it was trained on.

    python benchmarks/syncnet.py --syncnet RUN/model --data TEST_SET --split all --threshold-data TRAIN_SET
    python benchmarks/syncnet.py --syncnet RUN/model --data SET --held-out-fraction 0.1
"""

import argparse

from diff2lip_diffusers.syncnet import SYNC_FRAMES, SyncNet, load_syncnet
from diff2lip_diffusers.training.sync_accuracy import (
    SyncPairs,
    best_threshold,
    clip_score,
    measure_pairs,
    sync_accuracy,
)
from diff2lip_diffusers.training.training_set import SPLITS, TrainingSet


def main() -> None:
    """Measures and prints the table."""
    args = parse_args()
    syncnet = load_syncnet(args.syncnet).to(args.device)
    data = open_set(args.data, syncnet, args.split, args.held_out_fraction)
    threshold = 0.5
    if args.threshold_data or args.split == "held-out":
        train_split = "all" if args.threshold_data else "train"
        known = open_set(args.threshold_data or args.data, syncnet, train_split, args.held_out_fraction)
        threshold = best_threshold(measure_pairs(syncnet, known, args.seed).only_tellable())
    pairs = measure_pairs(syncnet, data, args.seed)
    identities = len({clip.identity for clip in data.clips})
    print(f"{args.data}, {args.split}: {identities} identities, {len(data.clips)} clips")
    report(pairs, threshold)
    report_offsets(syncnet, data)


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--syncnet", required=True, metavar="DIR", help="the SyncNet's folder")
    parser.add_argument("--data", required=True, metavar="DIR", help="a set that diff2lip prepare wrote")
    parser.add_argument(
        "--split", choices=SPLITS, default="held-out", help="split of the identities (default: held-out)"
    )
    parser.add_argument(
        "--held-out-fraction", type=float, default=0.05, help="the same as in the SyncNet's training (default: 0.05)"
    )
    parser.add_argument("--threshold-data", metavar="DIR", help="set of other people, to find the threshold on")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def open_set(folder: str, syncnet: SyncNet, split: str, held_out_fraction: float) -> TrainingSet:
    """Returns the clips of one split."""
    return TrainingSet(
        folder, syncnet.config.input_size, SYNC_FRAMES + 1, split=split, held_out_fraction=held_out_fraction
    )


def report(pairs: SyncPairs, threshold: float) -> None:
    """Prints the accuracies."""
    print(f"{'':24} {'pairs':>6} {'accuracy at 0.5':>16} {f'at {threshold:.3f}':>10} {'own audio nearer':>17}")
    for name, some in (("one of them speaks", pairs.only_tellable()), ("all, with silence", pairs)):
        at_half, at_best = sync_accuracy(some), sync_accuracy(some, threshold)
        percents = f"{at_half.accuracy:16.1%} {at_best.accuracy:10.1%} {at_half.choice:17.1%}"
        print(f"{name:24} {at_half.pairs:6} {percents}")


def report_offsets(syncnet: SyncNet, data: TrainingSet) -> None:
    """Prints the measured offsets of clips, all of which are in sync."""
    scores = [clip_score(syncnet, data, index) for index in range(len(data.clips))]
    within = sum(abs(score.offset_frames) <= 1 for score in scores) / len(scores)
    lse_c = sorted(score.lse_c for score in scores)[len(scores) // 2]
    lse_d = sorted(score.lse_d for score in scores)[len(scores) // 2]
    print(f"offset of whole clips within one frame: {within:.1%}; medians: LSE-C {lse_c:.3f},", end=" ")
    print(f"LSE-D {lse_d:.3f}")


if __name__ == "__main__":
    main()
