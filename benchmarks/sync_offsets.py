#!/usr/bin/env python3
"""How often a SyncNet finds a known offset, on clips of a corpus whose audio is moved by -10 to 10 frames.

diff2lip make-corpus test_corpus --clips 40 --size 192 --split test --seed 5
python benchmarks/sync_offsets.py test_corpus [--syncnet FOLDER]
"""

import argparse

import torch

from diff2lip_diffusers.corpus.corpus_folder import find_corpus_clips
from diff2lip_diffusers.evaluation.measures.choice import DRAWN_SYNCNET
from diff2lip_diffusers.evaluation.offset_check import found_offsets
from diff2lip_diffusers.syncnet import load_syncnet

SHIFTS = range(-10, 11)


def main() -> None:
    """Prints a row a shift."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus", metavar="CORPUS", help="a corpus of the test split")
    parser.add_argument("--syncnet", default=str(DRAWN_SYNCNET), metavar="DIR", help="default: the package's")
    args = parser.parse_args()
    torch.set_num_threads(1)
    syncnet = load_syncnet(args.syncnet)
    found = {clip.name: found_offsets(syncnet, clip.video, SHIFTS) for clip in find_corpus_clips(args.corpus)}
    print(f"{len(found)} clips\n\n| audio late by | found | within 1 frame | others |\n|---|---|---|---|")
    for shift in SHIFTS:
        offsets = [by_shift[shift] for by_shift in found.values()]
        exact = sum(offset == shift for offset in offsets) / len(offsets)
        near = sum(abs(offset - shift) <= 1 for offset in offsets) / len(offsets)
        others = ", ".join(
            f"{name}: {by_shift[shift]}" for name, by_shift in found.items() if by_shift[shift] != shift
        )
        print(f"| {shift} | {exact:.1%} | {near:.1%} | {others} |")


if __name__ == "__main__":
    main()
