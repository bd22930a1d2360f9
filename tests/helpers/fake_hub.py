"""A Hugging Face Hub on this machine: as much of its HTTP API as pushing and fetching a model needs."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

TOKEN = "hf_token_of_me"  # opens what is under me/


@dataclass
class FakeHub:
    """What is stored, and where it is served."""

    url: str = ""
    repositories: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    """OWNER/NAME -> commit, the oldest first -> path -> content."""
    created: list[dict[str, Any]] = field(default_factory=list)
    """What creating repositories was asked."""

    def files(self, name: str) -> dict[str, bytes]:
        """Of the newest commit."""
        return list(self.repositories[name].values())[-1]

    def commit(self, name: str, files: dict[str, bytes]) -> str:
        """Add or replace files; the commit's hash."""
        commits = self.repositories.setdefault(name, {})
        whole = (self.files(name) if commits else {}) | files
        commit = hashlib.sha1(repr((len(commits), sorted(whole.items()))).encode()).hexdigest()
        commits[commit] = whole
        return commit


@contextmanager
def fake_hub() -> Iterator[FakeHub]:
    """One that runs until the block ends."""
    hub = FakeHub()

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: FakeHub

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def answer(self, status: int, content: bytes = b"{}", **headers: str) -> None:
        """A whole answer; of HEAD its headers."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def refuse(self, status: int, code: str, message: str) -> None:
        """As the Hub tells what is wrong."""
        self.answer(
            status, json.dumps({"error": message}).encode(), X_Error_Code=code, X_Error_Message=message
        )

    def do_GET(self) -> None:
        match = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.path)
        if match is None:
            return self.refuse(404, "", "Not found")  # what the client asks about itself
        name, revision, path = match.groups()
        commits = self.hub.repositories.get(name)
        if commits is None:  # so that nobody learns which private ones there are
            return self.refuse(401, "RepoNotFound", "Repository not found")
        commit = list(commits)[-1] if revision == "main" else revision
        if commit not in commits:
            return self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if path not in commits[commit]:
            return self.refuse(404, "EntryNotFound", "Entry not found")
        content = commits[commit][path]
        etag = f'"{hashlib.sha1(content).hexdigest()}"'
        return self.answer(200, content, ETag=etag, X_Repo_Commit=commit)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.refuse(401, "", "Invalid credentials in Authorization header")
        if self.path == "/api/validate-yaml":
            return self.answer(200)
        if self.path == "/api/repos/create":
            return self.create(json.loads(body))
        match = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/main", self.path)
        assert match is not None, self.path
        name, action = match.groups()
        if action == "preupload":
            paths = [file["path"] for file in json.loads(body)["files"]]
            modes = [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in paths]
            return self.answer(200, json.dumps({"files": modes}).encode())
        lines = [json.loads(line) for line in body.splitlines()]
        added = [line["value"] for line in lines if line["key"] == "file"]
        commit = self.hub.commit(name, {file["path"]: base64.b64decode(file["content"]) for file in added})
        told = {"commitUrl": f"{self.hub.url}/{name}/commit/{commit}", "commitOid": commit}
        return self.answer(200, json.dumps(told).encode())

    def create(self, asked: dict[str, Any]) -> None:
        """A repository, unless it is another's or is there."""
        name = f"{asked['organization']}/{asked['name']}"
        if asked["organization"] != "me":
            return self.refuse(
                403, "", f'You don\'t have the rights to create a model under the namespace "{name}"'
            )
        status = 409 if name in self.hub.repositories else 200
        self.hub.created.append(asked)
        self.hub.repositories.setdefault(name, {})
        return self.answer(status, json.dumps({"url": f"{self.hub.url}/{name}"}).encode())
