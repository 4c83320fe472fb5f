"""A face detector that brings death to where it is sent: a stand-in for videos that crash their process."""

import os
import signal

from diff2lip_diffusers.lipsync.source_video import SourceVideo

read_frames = SourceVideo.frames


class DeadlyDetector:
    """Ends the process that reads a video of the name `oom`, as the system does when memory runs out."""

    def __reduce__(self):
        return _make_deadly, ()

    def __call__(self, frames):
        return [[] for _ in frames]


def _make_deadly() -> DeadlyDetector:
    """Runs wherever the detector arrives: in each worker."""

    def frames(source, *arguments, **options):
        if "oom" in source.path.name:
            os.kill(os.getpid(), signal.SIGKILL)
        return read_frames(source, *arguments, **options)

    SourceVideo.frames = frames
    return DeadlyDetector()
