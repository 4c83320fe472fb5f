"""Files on the Hub: the place of a model or checkpoint by its name, and why the Hub refused."""

import os
import re
from pathlib import Path

from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RevisionResolutionError
from huggingface_hub.utils import httpx

from ..errors import Diff2LipError, MediaError

# What huggingface_hub raises for refused and failed requests.
HUB_ERRORS = (httpx.HTTPError, RevisionResolutionError, HFValidationError, OSError, RuntimeError, ValueError)
HUB_PREFIX = "hf:"
HUB_FILE = re.compile(r"hf:(?P<repo>[\w.-]+/[\w.-]+)/(?P<file>.+)")
HUB_LINK = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)/(?:blob|resolve|raw)/(?P<revision>[^/]+)/(?P<file>[^?#]+)")


def checkpoint_file(
    checkpoint: str | Path,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
) -> Path:
    """Returns the path of a checkpoint; downloads it if it is on the Hub.

    Args:
        checkpoint: a path, `hf:OWNER/REPO/FILE`, or the address of a file in a repository.
        revision: branch, tag or commit of the repository; its main branch by default.
        token: access token; the stored one by default.
        cache_dir: folder for downloads; that of huggingface_hub by default.

    Raises:
        Diff2LipError: if the Hub has no such file, or cannot be reached.
        ValueError: if the name is not that of a file on the Hub.
    """
    name = str(checkpoint)
    if name.startswith(HUB_PREFIX):
        match = HUB_FILE.fullmatch(name)
        if match is None or ".." in Path(match["file"]).parts:
            raise ValueError(f"`checkpoint` is {name!r}, expected hf:OWNER/REPO/FILE")
        repo, file = match["repo"], match["file"]
    elif name.startswith(("https://", "http://")):
        match = HUB_LINK.fullmatch(name.removeprefix(constants.ENDPOINT).removeprefix("https://hf.co").lstrip("/"))
        if match is None:
            raise ValueError(f"`checkpoint` is {name!r}, expected a file on the Hub: hf:OWNER/REPO/FILE")
        repo, file, revision = match["repo"], match["file"], revision or match["revision"]
    else:
        return Path(checkpoint)
    try:
        return Path(hf_hub_download(repo, file, revision=revision, token=token, cache_dir=cache_dir))
    except HUB_ERRORS as error:
        raise Diff2LipError(f"{name}: not downloaded from the Hub: {reason_of(error)}") from error


def model_place(
    model: str | Path,
    subfolder: str | None,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
) -> str:
    """Returns the folder of a model that lies inside another folder or repository; `model` itself without one.

    Args:
        model: folder or repository.
        subfolder: where the model is in it.
        revision: branch, tag or commit of the repository.
        token: access token.
        cache_dir: folder for downloads.

    Raises:
        Diff2LipError: if the Hub cannot be reached, or has no such repository.
        MediaError: if there is no such subfolder.
        ValueError: if the subfolder leads out of the model.
    """
    if not subfolder:
        return str(model)
    if Path(subfolder).is_absolute() or ".." in Path(subfolder).parts:
        raise ValueError(f"`subfolder` is {subfolder!r}, expected a folder inside {model}")
    root = Path(model)
    if not root.is_dir():
        pattern = f"{Path(subfolder).as_posix()}/*"
        try:
            root = Path(
                snapshot_download(
                    str(model), revision=revision, token=token, cache_dir=cache_dir, allow_patterns=pattern
                )
            )
        except HUB_ERRORS as error:
            raise Diff2LipError(f"{model}: not downloaded from the Hub: {reason_of(error)}") from error
    if not (root / subfolder).is_dir():
        raise MediaError(os.path.join(model, subfolder), "no such model folder")
    return str(root / subfolder)


def resolved_revision(model: str | Path, revision: str | None, token: str | bool | None) -> str | None:
    """Returns the commit of a repository; None for a folder. Fails with one error, where diffusers would log lines."""
    if Path(model).is_dir():
        return None
    return HfApi(token=token).resolve_revision(str(model), revision=revision)


def reason_of(error: BaseException) -> str:
    """Returns one line: the answer of the Hub if that is the cause, else the first line of the error."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, HfHubHTTPError):
        cause = cause.__cause__
    # The answer follows a status, a request number and an empty line.
    answer = " ".join(str(cause or "").partition("\n\n")[2].split())
    return answer or str(error).strip().partition("\n")[0] or type(error).__name__
