"""Uploads a model folder to the Hub."""

from pathlib import Path

from huggingface_hub import HfApi

from ..errors import Diff2LipError, MediaError
from .files import HUB_ERRORS, reason_of


def push_folder(folder: str | Path, repo_id: str, private: bool = False, token: str | bool | None = None) -> str:
    """Uploads a model folder to the Hub and returns the URL of the commit.

    Raises:
        Diff2LipError: if the Hub refuses or cannot be reached, or if `private` is set and the repository is public.
        MediaError: if there is no such model folder.
    """
    if not (Path(folder) / "model_index.json").is_file():
        raise MediaError(folder, "has no model_index.json; write a model folder with: diff2lip convert")
    api = HfApi(token=token)
    try:
        repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        # The Hub does not make an existing repository private.
        if private and not api.model_info(repo_id).private:
            raise Diff2LipError(f"{repo_id}: not uploaded: the repository exists and is public")
        return str(api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message="Upload Diff2LipPipeline"))
    except HUB_ERRORS as error:
        raise Diff2LipError(f"{repo_id}: not uploaded to the Hub: {reason_of(error)}") from error
