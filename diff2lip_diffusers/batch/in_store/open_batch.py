"""Opens the folder of a batch, wherever it is."""

from ...stores.remote_files import RemoteFiles
from ...stores.urls import Location, Url
from ..folder import BatchFolder
from .folder import StoredBatch


def open_batch(place: Location, files: RemoteFiles) -> BatchFolder:
    """The files of a batch in a folder, or below a URL.

    Args:
        place: the folder or the URL.
        files: the local folders for unfinished outputs.

    Raises:
        ValueError: if processes cannot agree on work in that kind of store.
        StoreError: if the store cannot be used.
    """
    return StoredBatch(place, files) if isinstance(place, Url) else BatchFolder(place)
