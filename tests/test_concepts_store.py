"""A store is the folder that was meant, and holds what its files' names say."""

from pathlib import Path

import pytest

import safegen
from safegen.concepts.hub import export
from safegen.concepts.published import save_published
from safegen.concepts.store import VectorStore, own_folder
from safegen.concepts.vector import save_vector
from safegen.errors import ConceptError, InputError, OutputError, UnknownConceptError
from safegen.testing import random_vector

PACKAGE = Path(safegen.__file__).parent


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with one vector in it and one in ./reference."""
    for folder in (tmp_path, tmp_path / "reference"):
        save_vector(random_vector("calm", {"mid_block": (4,)}), folder / "calm.safetensors")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", [".", "./", "./reference", "../{0}", "reference/", "reference/."])
def test_only_the_very_name_of_a_shipped_set_is_one(mine: Path, name: str) -> None:
    """Dots and separators lead to folders of the user's, never into the package."""
    store = VectorStore(name.format(mine.name))

    assert store.names == ("calm",)
    assert PACKAGE not in store.folder.resolve().parents


def test_a_path_is_a_folder_and_a_name_a_set(mine: Path) -> None:
    """The same word, once as a path and once as a name."""
    assert VectorStore(Path("reference")).names == ("calm",)
    assert "woman" in VectorStore("reference").names
    with pytest.raises(InputError, match="no folder"):
        VectorStore("../vectors/reference")


def test_a_store_is_a_mapping(mine: Path) -> None:
    """What takes a mapping of vectors takes a store; what it lacks is a KeyError to `get`."""
    store = VectorStore(mine)

    assert (list(store), len(store), "calm" in store, 3 in store) == (["calm"], 1, True, False)
    assert dict(store) == {"calm": store["calm"]} == store
    assert store.get("clam") is None
    for unknown in ("clam", 3, None):
        with pytest.raises(UnknownConceptError, match=r"^no concept "):
            store[unknown]  # type: ignore[index]


@pytest.mark.parametrize("inside", [".", "concepts/vectors/reference", "concepts/../new"])
def test_nothing_is_written_into_the_package(inside: str) -> None:
    """By none of the functions that write vectors into a folder."""
    vectors = {"calm": random_vector("calm", {"mid_block": (2, 2, 2)})}
    for write in (
        own_folder,
        lambda folder: export(vectors, folder),
        lambda folder: save_published(vectors, folder),
    ):
        with pytest.raises(OutputError, match="part of the installed package"):
            write(PACKAGE / inside)


def test_what_a_store_would_not_find_again_is_not_written(mine: Path) -> None:
    """`--out reference`, after which `--store reference` would read the shipped set."""
    with pytest.raises(OutputError, match="name of a set that ships"):
        own_folder(Path("reference"))
    assert own_folder(mine / "reference") == mine / "reference"


def test_a_file_under_the_name_of_another_concept_is_refused(tmp_path: Path) -> None:
    """A copy of smoking as weapon would steer against smoking, and records would say weapon."""
    save_vector(random_vector("no-smoking", {"mid_block": (4,)}), tmp_path / "a.safetensors")
    (tmp_path / "a.safetensors").rename(tmp_path / "no-weapon.safetensors")
    with pytest.raises(
        ConceptError, match=r"no-weapon\.safetensors holds the concept 'no-smoking'"
    ):
        VectorStore(tmp_path)["no-weapon"]


def test_a_folder_that_cannot_be_read_is_not_empty(tmp_path: Path) -> None:
    """Here it went away; one without permission to read it is told in the same way."""
    folder = tmp_path / "store"
    folder.mkdir()
    store = VectorStore(folder)
    folder.rmdir()

    with pytest.raises(InputError, match="cannot read the concept vectors"):
        _ = store.names
