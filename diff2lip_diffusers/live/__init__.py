"""A face that speaks while the speech is still arriving: for pages, calls and voice agents."""

from .camera import Camera
from .capacity import Capacity, measure_capacity
from .clock import Clock, ManualClock, MonotonicClock
from .engine import LiveLipSync
from .idle_clip import IdleClip
from .live_frame import LiveFrame
from .measures import LiveStats
from .pacing import paced_frames
from .refusals import QueueFullError, SessionRefusedError
from .session import LiveSession

__all__ = [
    "Camera",
    "Capacity",
    "Clock",
    "IdleClip",
    "LiveFrame",
    "LiveLipSync",
    "LiveSession",
    "LiveStats",
    "ManualClock",
    "MonotonicClock",
    "QueueFullError",
    "SessionRefusedError",
    "measure_capacity",
    "paced_frames",
]
