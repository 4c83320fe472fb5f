"""Settings of the live page: its limits, and where it is served."""

from dataclasses import dataclass
from pathlib import Path

LOOPBACK = ("127.0.0.1", "localhost", "::1")
DEFAULT_PORT = 7870
# Sampling rate of sound over WebRTC, in Hz.
SOUND_HZ = 48_000


@dataclass(frozen=True, kw_only=True)
class PageSettings:
    """Limits of the page.

    Args:
        max_text: longest text to be said, in characters.
        idle_s: a session ends after so many seconds in which nobody spoke or typed.
        lost_s: a session whose connection is lost keeps its place for so many seconds.
        max_delay_s: speech of a microphone that waits longer than so many seconds is left out.

    Raises:
        ValueError: if a value is not above 0.
    """

    max_text: int = 500
    idle_s: float = 300.0
    lost_s: float = 30.0
    max_delay_s: float = 0.6

    def __post_init__(self):
        for name in ("max_text", "idle_s", "lost_s", "max_delay_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` is {getattr(self, name)}, expected a number above 0")


@dataclass(frozen=True)
class PageAddress:
    """Where the page is served.

    Attributes:
        host: name or number of the interface; loopback by default.
        port: of the interface; 0 for a free one.
        certificate: file with a certificate, for HTTPS; browsers give a microphone to other machines' pages only then.
        key: file with its private key; None if the certificate's file has it.
    """

    host: str = LOOPBACK[0]
    port: int = DEFAULT_PORT
    certificate: Path | None = None
    key: Path | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return self.host in LOOPBACK
