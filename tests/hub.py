"""A server on this machine that speaks as much of the hub's HTTP as push and pull need."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "hf_test"  # noqa: S105 - of this server alone


class Hub:
    """Repositories in memory: name -> files; every commit gets a number."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.commits = 0
        self.asked: list[str] = []

    @property
    def head(self) -> str:
        """Hash of the newest commit."""
        return f"{self.commits:040x}"


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Quiet."""

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            hub.asked.append(f"{self.command} {path}")
            info = re.fullmatch(r"/api/models/([\w-]+/[\w-]+)/revision/(\w+)", path)
            tree = re.fullmatch(r"/api/models/([\w-]+/[\w-]+)/tree/(\w+)", path)
            file = re.fullmatch(r"/([\w-]+/[\w-]+)/resolve/(\w+)/(.+)", path)
            found = info or tree or file
            if not found or found[1] not in hub.files or found[2] not in ("main", hub.head):
                code = "RevisionNotFound" if found and found[1] in hub.files else "RepoNotFound"
                self.answer(b"{}", 404, {"X-Error-Code": code})
            elif info:
                siblings = [{"rfilename": name} for name in hub.files[info[1]]]
                told = {"id": info[1], "sha": hub.head, "siblings": siblings}
                self.answer(json.dumps(told).encode())
            elif tree:
                files = [
                    {"type": "file", "path": name, "size": len(data), "oid": "0" * 40}
                    for name, data in hub.files[tree[1]].items()
                ]
                self.answer(json.dumps(files).encode())
            elif file:
                data = hub.files[file[1]][file[3]]
                etag = hashlib.sha256(data).hexdigest()
                self.answer(data, 200, {"ETag": f'"{etag}"', "X-Repo-Commit": hub.head})

        def do_POST(self) -> None:
            hub.asked.append(f"POST {self.path}")
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            if self.headers["Authorization"] != f"Bearer {TOKEN}":
                self.answer(b'{"error": "who are you?"}', 401)
            elif self.path == "/api/repos/create":
                asked = json.loads(body)
                name = asked["name"]
                name = f"{asked['organization']}/{name}" if asked.get("organization") else name
                hub.files.setdefault(name, {})
                hub.private.setdefault(
                    name, asked.get("private", asked.get("visibility") == "private")
                )
                self.answer(json.dumps({"url": f"{self.address}/{name}"}).encode())
            elif self.path == "/api/validate-yaml":
                self.answer(b'{"errors": [], "warnings": []}')
            elif self.path.endswith("/preupload/main"):
                files = [
                    {"path": each["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for each in json.loads(body)["files"]
                ]
                self.answer(json.dumps({"files": files}).encode())
            else:
                self.commit(body)

        def commit(self, body: bytes) -> None:
            repo = self.path.removeprefix("/api/models/").removesuffix("/commit/main")
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    data = base64.b64decode(line["value"]["content"])
                    hub.files[repo][line["value"]["path"]] = data
            hub.commits += 1
            url = f"{self.address}/{repo}/commit/{hub.head}"
            self.answer(json.dumps({"commitUrl": url, "commitOid": hub.head}).encode())

        @property
        def address(self) -> str:
            return f"http://127.0.0.1:{self.server.server_port}"  # type: ignore[attr-defined]

        def answer(
            self, data: bytes, status: int = 200, headers: dict[str, str] | None = None
        ) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

    return Handler


@contextmanager
def served() -> Iterator[tuple[Hub, str]]:
    """The hub and its address, while the block runs."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hub, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
