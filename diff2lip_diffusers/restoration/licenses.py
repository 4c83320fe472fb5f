"""The licenses of known architectures, as their authors published code and weights."""

# By spandrel's name of the architecture. A file may have been trained by somebody else, under other terms.
LICENSES = {
    "GFPGAN": "Apache-2.0",
    "RestoreFormer": "Apache-2.0",
    "CodeFormer": "S-Lab License 1.0, which allows non-commercial use only",
    "ESRGAN": "BSD-3-Clause for Real-ESRGAN, Apache-2.0 for ESRGAN",
    "Compact": "BSD-3-Clause",
    "SwinIR": "Apache-2.0",
    "Swin2SR": "Apache-2.0",
    "HAT": "Apache-2.0",
    "SCUNet": "Apache-2.0",
    "DAT": "Apache-2.0",
    "SPAN": "Apache-2.0",
    "NAFNet": "MIT",
    "OmniSR": "Apache-2.0",
}


def license_of(architecture: str) -> str:
    """The license of an architecture by spandrel's name of it, in words."""
    return LICENSES.get(architecture, "not known to this program: ask whoever made the file")
