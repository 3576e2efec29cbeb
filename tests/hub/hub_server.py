"""A stand-in for a hub: the endpoints of it that huggingface_hub calls to fetch and to push, over files in memory."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml

OWNERS_TOKEN = "hf_owner"


@dataclass
class Repository:
    """Its commits, each path -> content; where it is gated, only the owner has access."""

    private: bool = False
    gated: bool = False
    commits: list[dict[str, bytes]] = field(default_factory=lambda: [{}])

    def sha(self, number: int = -1) -> str:
        state = [len(self.commits[: number % len(self.commits) + 1]), *sorted(self.commits[number])]
        return hashlib.sha1(repr(state).encode()).hexdigest()

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit of a revision and its files."""
        shas = [self.sha(number) for number in range(len(self.commits))]
        number = len(shas) - 1 if revision == "main" else shas.index(revision) if revision in shas else None
        return None if number is None else (shas[number], self.commits[number])


class Hub(ThreadingHTTPServer):
    """The server; ``failing`` makes it answer 503."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[str, Repository] = {}
        self.uploads: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.failing = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Hub

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.begin()
        if path is None:
            return
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            if (at := self.commit_of(found[1], found[2] or "main")) is not None:
                files = [described(name, content) for name, content in at[1].items()]
                repository = self.server.repositories[found[1]]
                self.reply({"id": found[1], "sha": at[0], "private": repository.private, "siblings": files})
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            if (at := self.commit_of(found[1], found[2])) is not None:
                if found[3] not in at[1]:
                    self.refuse(404, "EntryNotFound")
                    return
                etag = hashlib.sha256(at[1][found[3]]).hexdigest()
                self.reply(at[1][found[3]], {"ETag": f'"{etag}"', "X-Repo-Commit": at[0]})
        else:
            self.refuse(404)

    def do_POST(self) -> None:
        path = self.begin()
        if path is None:
            return
        if path == "/api/validate-yaml":
            metadata = yaml.safe_load(json.loads(self.body)["content"].split("---\n")[1])
            unknown = [code for code in metadata.get("language", ()) if len(code) > 3]
            errors = [{"message": f'"language" must be an ISO 639-1, 639-2 or 639-3 code: {code}'} for code in unknown]
            self.reply({"errors": errors, "warnings": []}, status=400 if errors else 200)
        elif self.token() is None:
            self.refuse(401)
        elif self.token() != OWNERS_TOKEN:
            self.refuse(403)
        elif path == "/api/repos/create":
            asked = json.loads(self.body)
            name = f"{asked['organization']}/{asked['name']}"
            exists, private = name in self.server.repositories, "private" in (asked.get("visibility"), *asked)
            self.server.repositories.setdefault(name, Repository(private))
            self.reply({"url": f"{self.server.url}/{name}"}, status=409 if exists else 200)
        elif re.fullmatch(r"/api/models/[^/]+/[^/]+/preupload/main", path):
            modes = [(file["path"], file["path"].endswith(".v2s")) for file in json.loads(self.body)["files"]]
            files = [{"path": n, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False} for n, lfs in modes]
            self.reply({"files": files})
        elif path.endswith(".git/info/lfs/objects/batch"):
            asked = [(each["oid"], each["size"]) for each in json.loads(self.body)["objects"]]
            actions = {oid: {"upload": {"href": f"{self.server.url}/upload/{oid}"}} for oid, _ in asked}
            objects = [{"oid": oid, "size": size, "actions": actions[oid]} for oid, size in asked]
            self.reply({"transfer": "basic", "objects": objects})
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/main", path):
            self.commit(self.server.repositories[found[1]])
            self.reply({"commitUrl": f"{self.server.url}/{found[1]}/commit/1", "commitOid": "1" * 40})
        else:
            self.refuse(404)

    def do_PUT(self) -> None:
        path = self.begin()
        if path is not None:
            self.server.uploads[path.removeprefix("/upload/")] = self.body
            self.reply({})

    def commit(self, repository: Repository) -> None:
        files = dict(repository.commits[-1])
        for line in map(json.loads, self.body.decode().splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.uploads[value["oid"]]
        repository.commits.append(files)

    def begin(self) -> str | None:
        """The path of the request, whose body is read; None where it is answered already."""
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append(f"{self.command} {path}")
        if self.server.failing:
            self.refuse(503)
            return None
        return path

    def commit_of(self, name: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit and its files; None where the request is refused."""
        repository, owner = self.server.repositories.get(name), self.token() == OWNERS_TOKEN
        if repository is None or (repository.private and not owner):
            self.refuse(404 if self.token() else 401, "RepoNotFound")
        elif repository.gated and not owner:
            self.refuse(403 if self.token() else 401, "GatedRepo")
        elif (at := repository.at(revision)) is None:
            self.refuse(404, "RevisionNotFound")
        else:
            return at
        return None

    def token(self) -> str | None:
        return self.headers.get("Authorization", "").removeprefix("Bearer ") or None

    def refuse(self, status: int, code: str = "") -> None:
        self.reply({"error": code or "refused"}, {"X-Error-Code": code} if code else {}, status)

    def reply(self, content: bytes | dict, headers: dict[str, str] | None = None, status: int = 200) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        if isinstance(content, dict):
            self.send_header("Content-Type", "application/json")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def described(name: str, content: bytes) -> dict:
    """An entry of the list of files; packs are stored as large files."""
    sha = hashlib.sha256(content).hexdigest()
    lfs = {"lfs": {"sha256": sha, "size": len(content), "pointerSize": 130}} if name.endswith(".v2s") else {}
    return {"rfilename": name, "size": len(content), "blobId": sha[:40], **lfs}


@contextmanager
def running() -> Iterator[Hub]:
    """A hub without repositories, at a free port of this machine."""
    with Hub() as hub:
        thread = threading.Thread(target=hub.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield hub
        hub.shutdown()
        thread.join()


@contextmanager
def as_the_hub(monkeypatch, cache: Path) -> Iterator[Hub]:
    """A running hub that huggingface_hub, which reads its environment when it is imported, uses with an empty cache."""
    from huggingface_hub import constants

    with running() as hub:
        for name, value in environment(hub, cache).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache / "hub"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(cache / "token"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        yield hub


def environment(hub: Hub, cache: Path) -> dict[str, str]:
    """What a process needs that shall use this hub."""
    return {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(cache),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
