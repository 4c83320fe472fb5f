"""The error for videos that cannot become a personal model."""

from ..errors import Diff2LipError


class UnusableVideosError(Diff2LipError):
    """Videos with too little speech, without a large face, or with several people. Nothing of the attempt is kept."""
