#!/usr/bin/env python3
"""Converts the original Diff2Lip checkpoint to a diffusers model folder, as `diff2lip convert` does.

    python conversion/convert_diff2lip_to_diffusers.py CHECKPOINT --output diff2lip

See `--help` for the options, and README.md beside this file.
"""

import sys

from diff2lip_diffusers.cli import main

if __name__ == "__main__":
    sys.exit(main(["convert", *sys.argv[1:]]))
