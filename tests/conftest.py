"""What several files of tests share and start once."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import comfyui_tree
import pytest
from comfyui_client import PACK, Client, connected
from services import needs


@pytest.fixture(scope="session")
def comfyui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[comfyui_tree.Server]:
    """ComfyUI's own server, with the node pack as a user installs it and the tests' own nodes."""
    needs(comfyui_tree.present(), "ComfyUI", "python scripts/comfyui_tree.py")
    folder = tmp_path_factory.mktemp("comfyui")
    (folder / "custom_nodes").mkdir()
    shutil.copytree(PACK, folder / "custom_nodes/safegen")
    testpack = Path(__file__).parent / "comfyui_testpack.py"
    shutil.copy(testpack, folder / "custom_nodes/safegen_testpack.py")
    with comfyui_tree.serve(folder) as server:
        yield server


@pytest.fixture
def client(comfyui: comfyui_tree.Server) -> Iterator[Client]:
    """A client of its own for each test."""
    with connected(comfyui) as made:
        yield made
