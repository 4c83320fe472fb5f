"""A stand-in for the Hugging Face Hub on the loopback address: the part of its protocol for uploads and downloads.

Files are stored in a folder, with a subfolder per commit. Large files are stored as in Git LFS, named by SHA-256.
"""

import base64
import hashlib
import json
import re
import shutil
import uuid
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

# The part of the Hub's default .gitattributes that matters to a model repository.
LFS_SUFFIXES = (".safetensors", ".bin", ".pt", ".ckpt", ".zip")
REPO = r"(?P<repo>[\w.-]+/[\w.-]+)"
REV = r"(?P<rev>[^/]+)"


class HubError(Exception):
    """An error answer of the Hub. `code` goes into the header by which clients tell errors apart."""

    def __init__(self, status: HTTPStatus, message: str, code: str | None = None, **body):
        super().__init__(message)
        self.status, self.message, self.code, self.body = status, message, code, body


class Repo:
    """A model repository: a chain of commits on one branch, each a complete folder named by its hash."""

    def __init__(self, name: str, folder: Path, private: bool):
        self.name, self.folder, self.private = name, folder, private
        self.commits: list[str] = []
        self.commit("initial commit", {".gitattributes": _gitattributes()})

    @property
    def sha(self) -> str:
        return self.commits[-1]

    @property
    def files(self) -> dict[str, bytes]:
        """Paths and contents at the tip of the branch."""
        return {name: path.read_bytes() for name, path in self.paths(self.sha).items()}

    def paths(self, sha: str) -> dict[str, Path]:
        root = self.folder / sha
        return {str(path.relative_to(root)): path for path in sorted(root.rglob("*")) if path.is_file()}

    def resolve(self, revision: str) -> str:
        """Returns the commit hash of a branch name or hash."""
        if revision in ("main", "refs/heads/main"):
            return self.sha
        if revision in self.commits:
            return revision
        raise HubError(HTTPStatus.NOT_FOUND, f"Invalid rev id: {revision}", "RevisionNotFound")

    def commit(self, message: str, added: dict[str, bytes]) -> str:
        parent = self.commits[-1] if self.commits else None
        sha = hashlib.sha1(f"{parent} {message} {len(self.commits)} {self.name}".encode()).hexdigest()
        root = self.folder / sha
        if parent:
            shutil.copytree(self.folder / parent, root)
        for name, content in added.items():
            target = root / name
            if root not in target.resolve().parents:
                raise HubError(HTTPStatus.BAD_REQUEST, f"Invalid path: {name}")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        self.commits.append(sha)
        return sha


class HubStandIn(ThreadingHTTPServer):
    """The server, a context manager. Set HF_ENDPOINT to its `url`.

    Args:
        folder: where all files are stored.
        user: the only user; repositories can be created in this namespace only.
        token: the user's access token.

    Attributes:
        requests: method and path of all requests, in order.
        unanswered: requests that this stand-in does not know; a test should find none.
    """

    daemon_threads = True

    def __init__(self, folder: Path, user: str = "somebody", token: str = "hf_stand_in"):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.user, self.token = folder.resolve(), user, token
        self.repos: dict[str, Repo] = {}
        self.requests: list[str] = []
        self.unanswered: list[str] = []
        (self.folder / "lfs").mkdir(parents=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self):
        Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *exception):
        self.shutdown()
        super().__exit__(*exception)

    def create_repo(self, name: str, private: bool = False, source: Path | None = None) -> Repo:
        """Creates a repository, with the files of the folder `source` if given."""
        repo = self.repos[name] = Repo(name, self.folder / name, private)
        if source:
            files = {str(path.relative_to(source)): path.read_bytes() for path in source.rglob("*") if path.is_file()}
            repo.commit("Upload", files)
        return repo


def use_stand_in(hub: HubStandIn, monkeypatch) -> None:
    """Points huggingface_hub in this process at the stand-in; HF_ENDPOINT does so for a new process."""
    template = "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", hub.url + template)
    monkeypatch.setattr("huggingface_hub.hf_api.api.endpoint", hub.url)
    # The stand-in speaks the older protocol, Git LFS.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", hub.token)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet
    server: HubStandIn

    def do_GET(self):
        self._answer()

    do_HEAD = do_POST = do_PUT = do_GET

    def log_message(self, *args):
        """Prints nothing: the tests check stderr."""

    def _answer(self) -> None:
        url = urlsplit(self.path)
        self.query = parse_qs(url.query)
        self.body = self._read_body()
        self.server.requests.append(f"{self.command} {url.path}")
        try:
            self._respond(url.path)
        except HubError as error:
            headers = {"X-Error-Code": error.code} if error.code else {}
            self._send_json(
                {"error": error.message, **error.body}, error.status, {"X-Error-Message": error.message, **headers}
            )

    def _respond(self, path: str) -> None:
        for methods, pattern, respond in ROUTES:
            match = re.fullmatch(pattern, path)
            if match and self.command in methods.split():
                return respond(self, **{name: unquote(value) for name, value in match.groupdict().items()})
        self.server.unanswered.append(f"{self.command} {self.path}")
        raise HubError(HTTPStatus.NOT_FOUND, "Sorry, we can't find the page you are looking for.")

    def _read_body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _send(self, status: HTTPStatus, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {
            "X-Request-Id": f"Root={uuid.uuid4()}",
            "Content-Length": str(len(content)),
            **headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _send_json(self, value, status: HTTPStatus = HTTPStatus.OK, headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})

    # Who may do what

    def _signed_in(self) -> bool:
        given = self.headers.get("Authorization")
        if given and given != f"Bearer {self.server.token}":
            raise HubError(HTTPStatus.UNAUTHORIZED, "Invalid credentials in Authorization header")
        return bool(given)

    def _repo(self, name: str) -> Repo:
        """A repository that may be read. One that may not looks like one that does not exist."""
        repo, signed_in = self.server.repos.get(name), self._signed_in()
        if repo and (signed_in or not repo.private):
            return repo
        if signed_in:
            raise HubError(HTTPStatus.NOT_FOUND, "Repository not found", "RepoNotFound")
        raise HubError(HTTPStatus.UNAUTHORIZED, "Invalid username or password.", "RepoNotFound")

    def _check_may_write(self, namespace: str) -> None:
        if not self._signed_in():
            raise HubError(HTTPStatus.UNAUTHORIZED, "Invalid username or password.")
        if namespace != self.server.user:
            message = f'You don\'t have the rights to create a model under the namespace "{namespace}"'
            raise HubError(HTTPStatus.FORBIDDEN, message)

    def _writable_repo(self, name: str) -> Repo:
        repo = self._repo(name)
        self._check_may_write(name.partition("/")[0])
        return repo

    # Reading

    def agent_harnesses(self) -> None:
        """The programs around it that a client looks for, to name them in its requests: none."""
        self._send_json({"standardEnvVars": [], "harnesses": {}})

    def model_info(self, repo: str, rev: str = "main") -> None:
        found = self._repo(repo)
        sha = found.resolve(rev)
        siblings = [{"rfilename": name} for name in found.paths(sha)]
        author = repo.partition("/")[0]
        self._send_json({"id": repo, "author": author, "sha": sha, "private": found.private, "siblings": siblings})

    def tree(self, repo: str, rev: str) -> None:
        """Everything below the root, folders included, as with `recursive`."""
        found = self._repo(repo)
        paths = found.paths(found.resolve(rev))
        folders = {str(folder) for name in paths for folder in list(Path(name).parents)[:-1]}
        entries = [
            {"type": "directory", "oid": _git_oid(name.encode()), "size": 0, "path": name} for name in sorted(folders)
        ]
        for name, path in paths.items():
            content = path.read_bytes()
            entry = {"type": "file", "oid": _git_oid(content), "size": len(content), "path": name}
            if _is_lfs(name):
                entry["lfs"] = {"oid": _sha256(content), "size": len(content), "pointerSize": 134}
            entries.append(entry)
        if self.query.get("recursive", ["false"])[0].lower() not in ("true", "1"):
            entries = [entry for entry in entries if "/" not in entry["path"]]
        self._send_json(entries)

    def file(self, repo: str, rev: str, path: str) -> None:
        found = self._repo(repo)
        sha = found.resolve(rev)
        headers = {"X-Repo-Commit": sha, "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
        if path not in found.paths(sha):
            raise HubError(HTTPStatus.NOT_FOUND, "Entry not found", "EntryNotFound")
        content = found.paths(sha)[path].read_bytes()
        headers["ETag"] = f'"{_sha256(content) if _is_lfs(path) else _git_oid(content)}"'
        if _is_lfs(path):
            headers |= {"X-Linked-Etag": headers["ETag"], "X-Linked-Size": str(len(content))}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not asked:
            return self._send(HTTPStatus.OK, content, headers)
        start, end = int(asked[1]), int(asked[2] or len(content) - 1)
        if start >= len(content):
            headers["Content-Range"] = f"bytes */{len(content)}"
            return self._send(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, b"", headers)
        part = content[start : end + 1]
        headers["Content-Range"] = f"bytes {start}-{start + len(part) - 1}/{len(content)}"
        self._send(HTTPStatus.PARTIAL_CONTENT, part, headers)

    # Writing

    def create(self) -> None:
        asked = json.loads(self.body)
        namespace = asked.get("organization") or self.server.user
        self._check_may_write(namespace)
        name = f"{namespace}/{asked['name']}"
        address = {"url": f"{self.server.url}/{name}", "name": name}
        if name in self.server.repos:
            message = "You already created this model repo"
            raise HubError(HTTPStatus.CONFLICT, message, **address)
        private = asked.get("visibility") == "private" or asked.get("private") is True
        self.server.create_repo(name, private)
        self._send_json({**address, "id": name})

    def validate_yaml(self) -> None:
        """Checks the metadata in front of a model card."""
        front = re.match(r"---\n(.*?)\n---\n", json.loads(self.body)["content"], re.DOTALL)
        try:
            metadata = yaml.safe_load(front[1]) if front else None
        except yaml.YAMLError as error:
            metadata = error
        if metadata is None:
            return self._send_json(
                {"errors": [], "warnings": [{"message": "empty or missing yaml metadata in repo card"}]}
            )
        if not isinstance(metadata, dict):
            raise HubError(HTTPStatus.BAD_REQUEST, "Invalid YAML", errors=[{"message": str(metadata)}], warnings=[])
        self._send_json({"errors": [], "warnings": []})

    def preupload(self, repo: str, rev: str) -> None:
        found = self._writable_repo(repo)
        paths = found.paths(found.resolve(rev))
        answers = []
        for file in json.loads(self.body)["files"]:
            name = file["path"]
            answer = {"path": name, "shouldIgnore": False, "uploadMode": "lfs" if _is_lfs(name) else "regular"}
            if name in paths:
                content = paths[name].read_bytes()
                answer["oid"] = _sha256(content) if _is_lfs(name) else _git_oid(content)
            answers.append(answer)
        self._send_json({"files": answers})

    def lfs_batch(self, repo: str) -> None:
        self._writable_repo(repo)
        objects = []
        for asked in json.loads(self.body)["objects"]:
            entry = {"oid": asked["oid"], "size": asked["size"]}
            if not (self.server.folder / "lfs" / asked["oid"]).exists():
                entry["actions"] = {"upload": {"href": f"{self.server.url}/lfs/{asked['oid']}"}}
            objects.append(entry)
        self._send_json(
            {"transfer": "basic", "objects": objects}, headers={"Content-Type": "application/vnd.git-lfs+json"}
        )

    def lfs_put(self, oid: str) -> None:
        """The address is the permission, as with the Hub's signed ones."""
        if _sha256(self.body) != oid:
            raise HubError(HTTPStatus.BAD_REQUEST, "The content does not have this SHA-256")
        (self.server.folder / "lfs" / oid).write_bytes(self.body)
        self._send(HTTPStatus.OK, b"", {})

    def commit(self, repo: str, rev: str) -> None:
        found = self._writable_repo(repo)
        found.resolve(rev)
        message, added = "", {}
        for line in self.body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "header":
                message = value["summary"]
            elif entry["key"] == "file":
                added[value["path"]] = base64.b64decode(value["content"], validate=True)
            elif entry["key"] == "lfsFile":
                added[value["path"]] = self._lfs_content(value)
            else:
                raise HubError(HTTPStatus.BAD_REQUEST, f"Unknown operation {entry['key']}")
        sha = found.commit(message, added)
        address = f"{self.server.url}/{repo}/commit/{sha}"
        self._send_json({"success": True, "commitOid": sha, "commitUrl": address, "hookOutput": ""})

    def _lfs_content(self, pointer: dict) -> bytes:
        stored = self.server.folder / "lfs" / pointer["oid"]
        if not stored.exists() or stored.stat().st_size != pointer["size"]:
            raise HubError(
                HTTPStatus.BAD_REQUEST, f"LFS pointer {pointer['path']} points to a file that does not exist"
            )
        return stored.read_bytes()


ROUTES = (
    ("GET", f"/api/models/{REPO}", _Handler.model_info),
    ("GET", f"/api/models/{REPO}/revision/{REV}", _Handler.model_info),
    ("GET", f"/api/models/{REPO}/tree/{REV}/?", _Handler.tree),
    ("HEAD GET", f"/{REPO}/resolve/{REV}/(?P<path>.+)", _Handler.file),
    ("GET", "/api/agent-harnesses", _Handler.agent_harnesses),
    ("POST", "/api/repos/create", _Handler.create),
    ("POST", "/api/validate-yaml", _Handler.validate_yaml),
    ("POST", f"/api/models/{REPO}/preupload/{REV}", _Handler.preupload),
    ("POST", rf"/{REPO}\.git/info/lfs/objects/batch", _Handler.lfs_batch),
    ("PUT", r"/lfs/(?P<oid>[0-9a-f]{64})", _Handler.lfs_put),
    ("POST", f"/api/models/{REPO}/commit/{REV}", _Handler.commit),
)


def _gitattributes() -> bytes:
    return "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES).encode()


def _is_lfs(name: str) -> bool:
    return name.endswith(LFS_SUFFIXES)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _git_oid(content: bytes) -> str:
    """The name that Git gives a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
