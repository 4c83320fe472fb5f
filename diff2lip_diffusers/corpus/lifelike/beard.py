"""Where a beard grows, and how far it stands above the skin."""

import numpy as np

from ..brushes import Plane, smooth
from ..identity import Identity


def beard_area(kind: str, u: Plane, v: Plane) -> Plane:
    """Coverage, 0 to 1, of places on the face with a closed mouth by a beard that is not `"none"`."""
    side = np.abs(u)
    arc = 0.262 - 0.10 * side - 3.2 * np.maximum(side - 0.075, 0) ** 2  # middle of the mustache
    moustache = np.minimum(0.030 - np.abs(v - arc - 0.55 * np.maximum(side - 0.06, 0)), (0.150 - side) * 0.8)
    round_chin = 0.150 - np.hypot(side, 0.95 * (v - 0.335))
    ring = np.minimum(round_chin, np.maximum(side - 0.105, (v - 0.345) * 0.9))
    ring = np.minimum(ring, (v - 0.262) * 0.8)
    cheek_line = 0.255 - 0.95 * np.clip(side - 0.15, 0, 0.115) - 2.6 * np.clip(side - 0.265, 0, 1)
    full = np.minimum(v - cheek_line, np.maximum(side - 0.125 + 0.2 * (v - 0.27), (v - 0.352) * 0.9))
    spread = 0.040 if kind == "stubble" else 0.016
    moustache, ring, full = (smooth(-spread, spread, part) for part in (moustache, ring, full))
    return {
        "stubble": np.maximum(full, moustache), "moustache": moustache,
        "goatee": np.maximum(ring, moustache), "full": np.maximum(np.maximum(full, ring), moustache),
    }[kind]  # fmt: skip


def beard_height(identity: Identity, u: Plane, v: Plane, w: Plane) -> Plane:
    """How far a beard stands above the skin at places on the head at rest, in face units."""
    if identity.beard not in ("goatee", "full"):
        return np.zeros_like(u)
    long = identity.life.beard_length
    grown = 0.008 + 0.016 * long + 0.085 * long * smooth(0.36, 0.47, v) * (w > 0)
    return (grown * beard_area(identity.beard, u, v) * smooth(-0.25, 0.0, w)).astype(np.float32)
