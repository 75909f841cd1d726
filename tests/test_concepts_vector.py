"""Concept vectors: what goes in comes out, and nothing damaged is used."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from safegen.concepts.store import VectorStore
from safegen.concepts.vector import (
    ConceptVector,
    Levels,
    Passport,
    _seal,
    load_vector,
    save_vector,
)
from safegen.errors import ConceptError, InputError, OutputError, UnknownConceptError
from safegen.testing import random_vector


def make(values: np.ndarray) -> ConceptVector:
    """A vector of these values."""
    passport = Passport(
        concept="calm",
        model_family="UNet2DConditionModel",
        model_digest="sha256:x",
        site_shapes={"mid_block": values.shape},
        method="self-discovery",
        settings={"steps": 3},
        seed=1,
        prompts={"neutral": ("a",)},
        date="2026-01-01",
    )
    return ConceptVector(passport, {"mid_block": values.astype(np.float32)})


def written(path: Path, passport: str, vector: ConceptVector) -> None:
    """A file with any passport, sealed as if it were its own."""
    tensors = vector.tensors()
    metadata = {"safegen.passport": passport, "safegen.seal": _seal(passport, tensors)}
    path.write_bytes(save(tensors, metadata))


def test_saving_and_loading_keeps_everything(tmp_path: Path) -> None:
    """Passport, values and digest survive the file."""
    vector = make(np.arange(6, dtype=np.float32).reshape(6, 1, 1))
    save_vector(vector, tmp_path / "calm.safetensors")
    loaded = load_vector(tmp_path / "calm.safetensors")

    assert loaded.passport == vector.passport
    assert loaded.digest == vector.digest
    assert VectorStore(tmp_path).names == ("calm",)


def test_no_vector_is_made_for_a_model_without_a_digest() -> None:
    """Nor is one that says of one precision alone which model it was learned on."""
    passport = make(np.ones(4)).passport

    assert passport.model_digest_bfloat16 == ""
    assert passport.made_for("sha256:x")
    assert not passport.made_for("")


def test_digest_tells_apart_what_steers_otherwise() -> None:
    """Two vectors that add something else, at this size or another, have not one digest."""
    vector = make(np.ones(4))
    alike = [
        {"activation_norms": {"mid_block": 1.0}},
        {"activation_norms": {"mid_block": 2.0}},
        {"resize": "pool"},
    ]
    others = [replace(vector, passport=vector.passport.model_copy(update=u)) for u in alike]
    others.append(make(np.ones(4) * 2))
    assert len({vector.digest, *(each.digest for each in others)}) == 5
    told = vector.passport.model_copy(update={"date": "2026-01-02", "licence": "MIT"})
    assert replace(vector, passport=told).digest == vector.digest


def test_values_are_kept_however_they_lie_in_memory(tmp_path: Path) -> None:
    """A transposed or broadcast array comes back as it looks, not as its memory lies."""
    vector = make(np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(2, 0, 1))
    shape = (1, 2, 3)
    levels = Levels(np.broadcast_to(np.float32([1, 2, 3]), shape), np.zeros(shape, np.float32))
    save_vector(replace(vector, levels={"mid_block": levels}), tmp_path / "calm.safetensors")
    loaded = load_vector(tmp_path / "calm.safetensors")

    assert np.array_equal(loaded.arrays["mid_block"], vector.arrays["mid_block"])
    assert np.array_equal(loaded.levels["mid_block"].before, levels.before)


def test_a_passport_that_was_changed_is_found(tmp_path: Path) -> None:
    """The file is sealed as a whole: a licence cannot change on the way unseen."""
    path = tmp_path / "calm.safetensors"
    save_vector(make(np.ones(4)), path)
    path.write_bytes(path.read_bytes().replace(b"Apache-2.0", b"Apache-3.0"))
    with pytest.raises(ConceptError, match="not those that were written"):
        load_vector(path)


def test_values_beyond_fp16_are_not_saved(tmp_path: Path) -> None:
    """They would come back as infinite."""
    with pytest.raises(ConceptError, match="fp16"):
        save_vector(make(np.array([1.0, 1e6])), tmp_path / "calm.safetensors")
    assert not list(tmp_path.iterdir())


def test_damage_is_found(tmp_path: Path) -> None:
    """A file cut short is an error that says what was expected."""
    path = tmp_path / "calm.safetensors"
    save_vector(make(np.ones(4)), path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ConceptError, match="passport"):
        load_vector(path)


def test_values_that_are_not_finite_are_refused() -> None:
    """NaN in a vector would turn every image to noise."""
    with pytest.raises(ConceptError, match="finite"):
        make(np.array([1.0, np.nan]))


@pytest.mark.parametrize("norm", [float("inf"), float("nan"), -5.0])
def test_norms_that_no_activation_has_are_refused(norm: float, tmp_path: Path) -> None:
    """A strength relative to one would be no strength; made here or read from a file."""
    vector = make(np.ones(4))
    passport = vector.passport.model_copy(update={"activation_norms": {"mid_block": norm}})
    with pytest.raises(ConceptError, match="typical activation norm of 0 or more at 'mid_block'"):
        replace(vector, passport=passport)

    told = json.dumps(passport.model_dump())
    written(tmp_path / "calm.safetensors", told, vector)
    with pytest.raises(ConceptError):
        load_vector(tmp_path / "calm.safetensors")


def test_a_passport_nested_without_end_is_told(tmp_path: Path) -> None:
    """Another's file cannot take the reader to the end of Python's stack."""
    written(tmp_path / "calm.safetensors", "[" * 200_000 + "]" * 200_000, make(np.ones(4)))
    with pytest.raises(ConceptError, match="is not a concept vector with a passport"):
        load_vector(tmp_path / "calm.safetensors")


def test_a_misspelt_concept_gets_a_hint(tmp_path: Path) -> None:
    """The store names the nearest concept it has."""
    save_vector(make(np.ones(4)), tmp_path / "calm.safetensors")
    with pytest.raises(UnknownConceptError, match="did you mean 'calm'"):
        VectorStore(tmp_path)["clam"]


def test_a_missing_store_names_the_shipped_ones(tmp_path: Path) -> None:
    """No folder there: the error lists what can be had."""
    with pytest.raises(InputError, match="reference"):
        VectorStore(tmp_path / "nowhere")


def test_an_unwritable_place_leaves_nothing(tmp_path: Path) -> None:
    """A path through a file cannot be written, and says so."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        save_vector(make(np.ones(4)), tmp_path / "file" / "calm.safetensors")


@pytest.mark.parametrize("kind", ["bfloat16", "float8_e4m3fn"])
def test_types_that_numpy_lacks_are_told(kind: str, tmp_path: Path) -> None:
    """Another's file in a folder or repository is an error like any other, passport or not."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    path = tmp_path / "calm.safetensors"
    for metadata in (None, {"safegen.passport": "{}"}):
        save_file({"mid_block": torch.ones(4).to(getattr(torch, kind))}, path, metadata)
        with pytest.raises(ConceptError, match="is not a concept vector with a passport"):
            load_vector(path)


def test_zeros_are_no_vector() -> None:
    """Added, saved or attached they would be called steering, and change nothing."""
    with pytest.raises(ConceptError, match="all zeros"):
        make(np.zeros(4))


def test_values_below_fp16_are_not_saved(tmp_path: Path) -> None:
    """They would come back as zeros; the file's folder stays as it was."""
    with pytest.raises(ConceptError, match="all zeros at mid_block"):
        save_vector(make(np.full(4, 1e-9)), tmp_path / "calm.safetensors")
    assert not list(tmp_path.iterdir())


def test_vectors_are_equal_by_what_they_hold() -> None:
    """So they can be compared, be found in a list, and be members of a set."""
    one, same = (random_vector("calm", {"mid_block": (4,)}) for _ in range(2))
    other = random_vector("wild", {"mid_block": (4,)})

    assert one == same
    assert one != other
    assert one != "calm"
    assert same in [other, one]
    assert len({one, same, other}) == 2


def test_arrays_are_float32() -> None:
    """Whatever was given; what is no number is refused."""
    passport = random_vector("calm", {"mid_block": (4,)}).passport

    made = ConceptVector(passport, {"mid_block": np.ones(4)})  # type: ignore[dict-item]
    assert made.arrays["mid_block"].dtype == np.float32
    for values in (["a"] * 4, [1e300] * 4):
        with pytest.raises(ConceptError):
            ConceptVector(passport, {"mid_block": np.array(values)})


def test_a_vector_has_one_file(tmp_path: Path) -> None:
    """Saved again it is the same bytes, so that files can be compared by their checksums."""
    vector = random_vector("calm", {"mid_block": (8,), "up_blocks.0": (8, 2, 2)})
    files = []
    for number in range(20):
        save_vector(vector, tmp_path / f"{number}.safetensors")
        files.append((tmp_path / f"{number}.safetensors").read_bytes())

    assert len({*files}) == 1
    assert load_vector(tmp_path / "0.safetensors").passport == vector.passport
