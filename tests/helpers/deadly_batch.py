"""The program `diff2lip`, but some pairs end the process that reads them, as a crash in a library or the system does.

The name of a pair's video says how: `segfault`, or `oom` for the kill of a system whose memory runs out.
"""

import os
import signal
import sys

from diff2lip_diffusers.cli import main
from diff2lip_diffusers.lipsync.source_video import SourceVideo

SIGNALS = {"segfault": signal.SIGSEGV, "oom": signal.SIGKILL}
read_frames = SourceVideo.frames


def frames(source, *arguments, **options):
    for word, number in SIGNALS.items():
        if word in source.path.name:
            os.kill(os.getpid(), number)
    return read_frames(source, *arguments, **options)


SourceVideo.frames = frames

if __name__ == "__main__":
    sys.exit(main())
