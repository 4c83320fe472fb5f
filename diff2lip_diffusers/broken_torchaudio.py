"""Takes a torchaudio that cannot be loaded for one that is not installed.

torchaudio must be built for the installed torch. transformers imports any that it finds, so with a wrong one neither
diffusers' pipelines nor ours could be imported. Importing this module, before transformers, cures that.
"""

import importlib.metadata
import importlib.util
import logging
import sys

logger = logging.getLogger(__name__)


def hide_broken_torchaudio() -> None:
    """Makes `import torchaudio` fail as if it were not installed, if it fails anyway; says so in the log."""
    if "torchaudio" in sys.modules or importlib.util.find_spec("torchaudio") is None:
        return
    try:
        import torchaudio  # noqa: F401  # pyright: ignore  # an extra of its own
    except Exception as error:  # a wrong build fails in many ways
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
            del sys.modules[name]
        sys.modules["torchaudio"] = None  # pyright: ignore[reportArgumentType]  # as importlib says: not there
        logger.warning(
            "the installed torchaudio cannot be loaded and is ignored: %s. Uninstall it, or install the one that was"
            " built for torch %s.",
            " ".join(str(error).split())[:200],
            importlib.metadata.version("torch"),
        )


hide_broken_torchaudio()
