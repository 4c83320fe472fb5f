"""Which Ray cluster works on a batch, and with how many workers."""

from dataclasses import dataclass

from ...hub import COMPILE_MODES

# In the place of an address: a cluster of this machine alone.
LOCAL = "local"


@dataclass(frozen=True)
class RayCluster:
    """A Ray cluster, and how much of it to use.

    Args:
        address: `HOST:PORT` of the cluster's head; by default that of the environment, `RAY_ADDRESS`, or else a new
            cluster on this machine that ends with the run. If this process is connected to Ray, that cluster is used.
        min_workers: workers that the run has at least.
        max_workers: workers that it has at most; by default as many as the cluster has GPUs or cores for.
        device: `"cuda"` gives each worker one GPU, `"cpu"` as many cores as PyTorch has threads in this process; by
            default as the device of the pipeline says.
        compile: how each worker compiles the model first, as `--compile` says; None for not at all.

    Raises:
        ValueError: if the address, a number, the device or the mode makes no sense.
    """

    address: str | None = None
    min_workers: int = 1
    max_workers: int | None = None
    device: str | None = None
    compile: str | None = None

    def __post_init__(self):
        if self.address is not None:
            check_address(self.address)
        if self.min_workers < 1:
            raise ValueError(f"`min_workers` is {self.min_workers}, expected 1 or more")
        if self.max_workers is not None and self.max_workers < self.min_workers:
            raise ValueError(f"`max_workers` is {self.max_workers}, less than `min_workers`, {self.min_workers}")
        if self.device not in (None, "cpu", "cuda"):
            raise ValueError(f'`device` is {self.device!r}, expected "cpu" or "cuda"')
        if self.compile not in (None, *COMPILE_MODES):
            raise ValueError(f"`compile` is {self.compile!r}, known are {', '.join(COMPILE_MODES)}")


def check_address(address: str) -> None:
    """Raises ValueError if an address is neither `HOST:PORT` nor `local`."""
    host, colon, port = address.rpartition(":")
    is_port = port.isascii() and port.isdecimal() and 0 < int(port) < 65536
    if address != LOCAL and not (colon and host and is_port and not set(host) & set("/ ")):
        raise ValueError(f"`address` of the Ray cluster is {address!r}, expected HOST:PORT, as `ray start` prints it")
