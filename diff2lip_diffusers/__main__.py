"""`python -m diff2lip_diffusers` runs the same commands as `diff2lip`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
