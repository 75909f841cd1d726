"""Held images: kept whole, for their owner only, found by digest and nothing else."""

import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from safegen.audit.held import ImageStore
from safegen.errors import InputError, OutputError
from safegen.pixels import pixels_digest

RED = Image.new("RGB", (8, 8), "red")


def test_what_was_put_comes_back(tmp_path: Path) -> None:
    """The same pixels, under the digest of them, in a file and folder that only the owner reads."""
    store = ImageStore(tmp_path / "held")
    digest = store.put(RED)
    found = store.get(digest)

    assert digest == pixels_digest(RED)
    assert found is not None
    assert found.tobytes() == RED.tobytes()
    assert stat.S_IMODE((tmp_path / "held").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "held" / f"{digest}.png").stat().st_mode) == 0o600
    assert store.put(RED) == digest
    assert len(list((tmp_path / "held").iterdir())) == 1


def test_only_pixels_are_kept(tmp_path: Path) -> None:
    """Text and metadata that came with an image do not."""
    told = PngInfo()
    told.add_text("prompt", "secret words")
    RED.save(tmp_path / "a.png", pnginfo=told)
    store = ImageStore(tmp_path / "held")
    with Image.open(tmp_path / "a.png") as opened:
        digest = store.put(opened)

    assert b"secret" not in (tmp_path / "held" / f"{digest}.png").read_bytes()


@pytest.mark.parametrize(
    "digest", ["", "../" * 20 + "etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n", "\x00" * 64]
)
def test_no_path_leads_out(tmp_path: Path, digest: str) -> None:
    """What is no digest, as a crafted record may hold, is refused."""
    with pytest.raises(InputError, match="no SHA-256"):
        ImageStore(tmp_path).get(digest)


def test_another_picture_under_the_name_is_not_given(tmp_path: Path) -> None:
    """A missing, damaged or exchanged file is no picture."""
    store = ImageStore(tmp_path)
    digest = store.put(RED)
    path = tmp_path / f"{digest}.png"
    Image.new("RGB", (8, 8), "blue").save(path)
    exchanged = store.get(digest)
    path.write_bytes(b"\x89PNG\r\n\x1a\n damaged")

    assert exchanged is None
    assert store.get(digest) is None
    assert store.get("0" * 64) is None


def test_the_digest_tells_the_shape(tmp_path: Path) -> None:
    """It is of width, height and RGB bytes; the same bytes in other lines are another picture."""
    noise = Image.effect_noise((256, 256), 80).convert("RGB")
    store = ImageStore(tmp_path)
    digest = store.put(noise)
    Image.frombytes("RGB", (1024, 64), noise.tobytes()).save(tmp_path / f"{digest}.png")

    assert store.get(digest) is None
    pixels = Image.frombytes("RGB", (2, 1), b"abcdef")
    assert pixels_digest(pixels) == hashlib.sha256(b"2x1\nabcdef").hexdigest()
    assert pixels_digest(pixels.convert("RGBA")) == pixels_digest(pixels)


def test_only_what_is_older_is_deleted(tmp_path: Path) -> None:
    """Of those asked for, held images that were last kept before the moment; nothing else."""
    store = ImageStore(tmp_path)
    old, new = store.put(RED), store.put(Image.new("RGB", (8, 8), "blue"))
    (tmp_path / "notes.png").write_bytes(b"mine")
    for name in (old, "notes"):
        os.utime(tmp_path / f"{name}.png", (0, 0))

    assert store.kept_before(1) == [old]
    assert store.kept_before(0) == []
    assert store.delete([old, new, old, "0" * 64], 1) == 1
    assert store.get(old) is None
    assert store.get(new) is not None
    assert (tmp_path / "notes.png").exists()


@pytest.mark.parametrize(
    "failing", ["os.fsync", "pathlib.Path.replace", "safegen.audit.ledger.files.sync_folder"]
)
def test_a_failed_write_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """Neither the picture nor a part of it stays where no purge looks for it."""
    store = ImageStore(tmp_path)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(failing, refuse)
        with pytest.raises(OutputError, match="No space left"):
            store.put(RED)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("point", ["safegen.audit.ledger.files.sync_folder", "os.fsync"])
def test_what_a_killed_write_left_is_deleted(tmp_path: Path, point: str) -> None:
    """Once it is old, with the rest; what is new, or another's, stays."""
    store = ImageStore(tmp_path)
    kept = store.put(RED)
    killed_while_keeping(tmp_path, point)
    (left,) = (path for path in tmp_path.iterdir() if path.name != f"{kept}.png")
    (tmp_path / "notes.part").write_text("mine")

    assert store.clear(left.stat().st_mtime) == 0
    os.utime(left, (0, 0))
    os.utime(tmp_path / "notes.part", (0, 0))
    assert store.clear(1) == 1
    assert {path.name for path in tmp_path.iterdir()} == {f"{kept}.png", "notes.part"}


def killed_while_keeping(folder: Path, point: str) -> None:
    """Keep a picture in another process, which is killed when it calls what `point` names."""
    code = (
        "import os, sys; from unittest.mock import patch; from PIL import Image\n"
        "from safegen.audit.held import ImageStore\n"
        "with patch(sys.argv[2], side_effect=lambda *_: os.kill(os.getpid(), 9)):\n"
        "    ImageStore(sys.argv[1]).put(Image.new('RGB', (8, 8), 'blue'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, folder, point], check=False)
    assert done.returncode == -9


@pytest.mark.parametrize("name", ["absent", "file"])
def test_a_folder_that_must_be_there(tmp_path: Path, name: str) -> None:
    """Who only reads or deletes makes none, so that a mistyped name is no empty folder."""
    (tmp_path / "file").write_text("")
    ImageStore(tmp_path / "held").put(RED)
    with pytest.raises(InputError, match=rf"no folder of held images .*{name}"):
        ImageStore.existing(tmp_path / name)

    assert not (tmp_path / "absent").exists()
    assert len(ImageStore.existing(tmp_path / "held").kept_before(1e12)) == 1


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """Where a file stands in the way, that is an error."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="held images"):
        ImageStore(tmp_path / "file")
