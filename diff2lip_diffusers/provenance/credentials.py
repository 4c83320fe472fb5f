"""Content credentials (C2PA): a signed statement in the file of how it was made, and reading such statements."""

import importlib.metadata
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import Diff2LipError, MediaError

SUFFIXES = (".mp4", ".m4v", ".mov")
INSTALL = 'pip install "diff2lip-diffusers[provenance]"'
MADE_WITH_AI = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
MEDIA_TYPES = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime", ".wav": "audio/wav"}
MEDIA_TYPES |= {".mp3": "audio/mpeg", ".m4a": "audio/mp4", ".avi": "video/avi", ".jpg": "image/jpeg"}
MEDIA_TYPES |= {".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
BLOCK = re.compile(r"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----\n?", re.DOTALL)


@dataclass(frozen=True)
class Edit:
    """How an output was made.

    Attributes:
        model: name of the model.
        video: the face.
        speech: the recording; None if it is the video's own.
        settings: of the job, plain JSON values.
    """

    model: str
    video: Path
    speech: Path | None
    settings: dict[str, Any] = field(default_factory=dict)


class Signer:
    """Signs files with a certificate.

    Args:
        path: a PEM file with the private key and the chain of certificates, the signer's first.

    Raises:
        MediaError: if the file cannot be read, or lacks a key or a certificate.
        Diff2LipError: if c2pa is not installed.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        _c2pa()
        try:
            text = self.path.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise MediaError(path, "cannot be read as PEM; name a file with a private key and certificates") from error
        blocks = [(match[1], match[0].strip()) for match in BLOCK.finditer(text)]
        keys = [block for kind, block in blocks if kind.endswith("PRIVATE KEY")]
        chain = [block for kind, block in blocks if kind == "CERTIFICATE"]
        if len(keys) != 1 or not chain:
            found = f"{len(keys)} private keys and {len(chain)} certificates"
            raise MediaError(path, f"has {found}, expected one key and the chain of its certificates")
        self._key, self._chain = keys[0], "\n".join(chain)

    def sign(self, file: Path, title: str, edit: Edit) -> None:
        """Puts a signed statement into a complete file; replaces it only when that worked.

        Args:
            file: an mp4 or mov file.
            title: its name later on.
            edit: how it was made.

        Raises:
            Diff2LipError: if the key and the certificate cannot sign, or the file has no place for it.
        """
        c2pa = _c2pa()
        signed = file.with_name(f"signed{file.suffix}")
        try:
            with c2pa.Builder(json.dumps(_manifest(title, edit))) as builder, self._signer(c2pa) as signer:
                _add_ingredients(builder, edit)
                with file.open("rb") as source, signed.open("w+b") as target:
                    builder.sign(signer, MEDIA_TYPES[file.suffix.lower()], source, target)
        except c2pa.C2paError as error:
            raise Diff2LipError(f"{self.path}: content credentials cannot be signed: {_line(error)}") from error
        signed.replace(file)

    def _signer(self, c2pa: Any) -> Any:
        """Tries the kinds of keys; the library tells only by failing which one a key is."""
        failure = None
        for kind in ("es256", "es384", "ps256", "ed25519", "es512"):
            try:
                info = c2pa.C2paSignerInfo(kind.encode(), self._chain.encode(), self._key.encode(), None)
                return c2pa.Signer.from_info(info)
            except c2pa.C2paError as error:
                failure = failure or error
        raise Diff2LipError(f"{self.path}: cannot sign: {_line(failure)}") from failure


@dataclass(frozen=True)
class CredentialsFinding:
    """What the content credentials of a file say.

    Attributes:
        state: `"none"`, `"invalid"` (the file was changed), `"valid"` (signed by somebody), or `"trusted"` (by
            somebody whom the installed list of trust knows).
        signer: name in the certificate.
        made_by: program and version.
        model: that painted.
        ingredients: titles of the sources.
        problems: codes of what does not hold.
    """

    state: str
    signer: str | None = None
    made_by: str | None = None
    model: str | None = None
    ingredients: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def check_can_sign(output: str | Path) -> None:
    """Makes sure before the work that an output can carry content credentials.

    Raises:
        MediaError: if it cannot.
    """
    if Path(output).suffix.lower() not in SUFFIXES:
        raise MediaError(output, f"cannot carry content credentials; use {', '.join(SUFFIXES)}")


def read_credentials(path: str | Path) -> CredentialsFinding:
    """Reads and checks the content credentials of a file.

    Raises:
        Diff2LipError: if c2pa is not installed.
        MediaError: if the file cannot be read.
    """
    c2pa = _c2pa()
    kind = MEDIA_TYPES.get(Path(path).suffix.lower())
    if kind is None:
        return CredentialsFinding("none")
    try:
        with open(path, "rb") as file, c2pa.Reader(kind, file) as reader:
            store = json.loads(reader.json())
    except OSError as error:
        raise MediaError(path, f"cannot be read: {error.strerror}") from error
    except c2pa.C2paError as error:
        if "ManifestNotFound" in str(error) or "JumbfNotFound" in str(error):
            return CredentialsFinding("none")
        return CredentialsFinding("invalid", problems=(_line(error),))
    return _finding(store)


def _finding(store: dict) -> CredentialsFinding:
    manifest = store.get("manifests", {}).get(store.get("active_manifest"), {})
    made_by = next(iter(manifest.get("claim_generator_info", [])), {})
    actions = [
        action
        for assertion in manifest.get("assertions", [])
        if assertion.get("label", "").startswith("c2pa.actions")
        for action in assertion["data"]["actions"]
    ]
    models = (action.get("parameters", {}).get("model") for action in actions)
    statuses = [status["code"] for status in store.get("validation_status", [])]
    return CredentialsFinding(
        str(store.get("validation_state", "invalid")).lower(),
        manifest.get("signature_info", {}).get("common_name") or manifest.get("signature_info", {}).get("issuer"),
        f"{made_by.get('name', '')} {made_by.get('version', '')}".strip() or None,
        next((model for model in models if model), None),
        tuple(each["title"] for each in manifest.get("ingredients", []) if each.get("title")),
        tuple(dict.fromkeys(statuses)),
    )


def _manifest(title: str, edit: Edit) -> dict[str, Any]:
    agent = {"name": "diff2lip-diffusers", "version": importlib.metadata.version("diff2lip-diffusers")}
    edited = {
        "action": "c2pa.edited",
        "digitalSourceType": MADE_WITH_AI,
        "softwareAgent": agent,
        "description": "The mouth was painted to follow a recording of speech.",
        "parameters": {"model": edit.model, **edit.settings},
    }
    opened = {"action": "c2pa.opened", "parameters": {"ingredientIds": ["video"]}}
    return {
        "claim_generator_info": [agent],
        "title": title,
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [opened, edited]}}],
        "ingredients": [] if _type_of(edit.video) else [_described("video", edit.video)],
    }


def _add_ingredients(builder: Any, edit: Edit) -> None:
    """Adds the sources whose formats C2PA knows: names and hashes, not the files."""
    for label, path in (("video", edit.video), ("speech", edit.speech)):
        kind = _type_of(path)
        if path is not None and kind is not None:
            with path.open("rb") as file:
                builder.add_ingredient(json.dumps(_described(label, path)), kind, file)


def _described(label: str, path: Path) -> dict[str, str]:
    relationship = {"video": "parentOf", "speech": "inputTo"}[label]
    return {"title": path.name, "relationship": relationship, "label": label}


def _type_of(path: Path | None) -> str | None:
    return MEDIA_TYPES.get(path.suffix.lower()) if path is not None and path.is_file() else None


def _c2pa() -> Any:
    try:
        import c2pa
    except ImportError as error:
        raise Diff2LipError(f"content credentials need the package c2pa-python: {INSTALL}") from error
    return c2pa


def _line(error: BaseException | None) -> str:
    return " ".join(str(error).split())
