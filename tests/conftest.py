"""What tests of several files share."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from comfyui_client import Client
    from comfyui_tree import Server
    from reviewing import Browser, Made

    from safegen.audit.review.site import Site
    from safegen.policy import Policy

if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    # Each process takes its share of the cores; it must be said before torch is imported.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // int(workers))))

# The imports stand in the fixtures, so that other tests do not wait for them.


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For models as small as the tests', more threads only wait for each other."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def default() -> "Policy":
    """The default pack."""
    from packs import loaded

    return loaded("default")


@pytest.fixture(params=["default", "fair-occupations"])
def pack(request: pytest.FixtureRequest) -> "Policy":
    """One of the packs that draw people."""
    from packs import loaded

    return loaded(request.param)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of certificates to try marks with."""
    from safegen.audit.marking.certificates import make_certificates

    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder)
    return folder


@pytest.fixture
def made(tmp_path: Path) -> "Made":
    """A ledger, held images and accounts."""
    from reviewing import make

    return make(tmp_path)


@pytest.fixture
def site(made: "Made") -> Iterator["Site"]:
    """The review site on them."""
    from reviewing import opened

    with opened(made) as site:
        yield site


@pytest.fixture
def ann(site: "Site") -> "Browser":
    """A reviewer, signed in."""
    from reviewing import signed_in

    return signed_in(site, "ann")


@pytest.fixture
def ben(site: "Site") -> "Browser":
    """An auditor, signed in."""
    from reviewing import signed_in

    return signed_in(site, "ben")


@pytest.fixture
def ada(site: "Site") -> "Browser":
    """An admin, signed in."""
    from reviewing import signed_in

    return signed_in(site, "ada")


@pytest.fixture(scope="session")
def comfyui(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Server"]:
    """ComfyUI's own server, with the node pack as a user installs it and the tests' own nodes."""
    import comfyui_tree
    from comfyui_client import PACK
    from services import needs

    needs(comfyui_tree.present(), "ComfyUI", "python scripts/comfyui_tree.py")
    folder = tmp_path_factory.mktemp("comfyui")
    (folder / "custom_nodes").mkdir()
    shutil.copytree(PACK, folder / "custom_nodes/safegen")
    testpack = Path(__file__).parent / "comfyui_testpack.py"
    shutil.copy(testpack, folder / "custom_nodes/safegen_testpack.py")
    with comfyui_tree.serve(folder) as server:
        yield server


@pytest.fixture
def client(comfyui: "Server") -> Iterator["Client"]:
    """A client of its own for each test."""
    from comfyui_client import connected

    with connected(comfyui) as made:
        yield made


@pytest.fixture
def house(tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """Writes a policy, and gives the widgets' values that choose it and a ledger of its own."""

    def write(text: str) -> dict[str, str]:
        file = tmp_path / "house.yaml"
        file.write_text(text, encoding="utf-8")
        return {"policy": str(file), "ledger": str(tmp_path / "ledger")}

    return write
