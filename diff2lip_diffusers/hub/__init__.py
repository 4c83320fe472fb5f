"""Model folders and Hub repositories: converts a checkpoint, loads a pipeline, uploads and exports a folder."""

from .compilation import COMPILE_MODES, compile_pipeline, warm_up
from .conversion import convert_checkpoint, pipeline_from_single_file, save_with_card
from .loading import ADAPTER_NAME, default_device, default_dtype, load_pipeline
from .precisions import DTYPES
from .remote_code import export_with_code
from .upload import push_folder

__all__ = [
    "COMPILE_MODES",
    "ADAPTER_NAME",
    "DTYPES",
    "compile_pipeline",
    "convert_checkpoint",
    "default_device",
    "default_dtype",
    "export_with_code",
    "load_pipeline",
    "pipeline_from_single_file",
    "push_folder",
    "save_with_card",
    "warm_up",
]
