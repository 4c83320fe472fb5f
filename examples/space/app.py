"""The page as a Space on the Hugging Face Hub."""

import os
import threading

from diff2lip_diffusers.app.server import Address, serving
from diff2lip_diffusers.app.settings import AppSettings

LIMITS = {"max_upload_mb": 50, "max_duration": 15, "max_jobs": 10, "personal": False}


def settings() -> AppSettings:
    """The demo's model, or the one in the variable DIFF2LIP_MODEL."""
    model = os.environ.get("DIFF2LIP_MODEL")
    return AppSettings(models={model: model}, **LIMITS) if model else AppSettings(**LIMITS)


def main() -> None:
    """Serves until the Space ends; a Space expects this address."""
    with serving(settings(), Address("0.0.0.0", int(os.environ.get("PORT", "7860")))) as served:
        print(served.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
