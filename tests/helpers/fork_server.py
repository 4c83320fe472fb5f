"""Runs commands of `diff2lip` in forks of one process that has imported everything: each starts at once.

Reads commands from its input, one JSON list a line, and answers with the number of the process that runs it.
"""

import json
import os
import signal
import sys

import torch

import diff2lip_diffusers.batch.run
import diff2lip_diffusers.prepare.prepare_videos
import diff2lip_diffusers.training.syncnet_trainer
import diff2lip_diffusers.training.trainer  # noqa: F401
from diff2lip_diffusers import cli


def run(command: list[str]) -> None:
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    torch.set_num_threads(1)
    sys.argv = ["diff2lip", *command]
    os._exit(cli.main())


if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    for line in sys.stdin:
        child = os.fork()
        if not child:
            run(json.loads(line))
        print(child, flush=True)
