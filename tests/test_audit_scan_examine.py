"""What a scan makes of single images."""

import ast
import hashlib
import io
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from archives import CHECK, CLEAN, FLAGGED, POLICY, flat, policy
from PIL import Image, ImageSequence
from programs import printed

from safegen.audit import colours, images, ladder
from safegen.audit.detectors import load_detector
from safegen.audit.scan import examine
from safegen.audit.scan.examine import READING, Examiner, Seen
from safegen.audit.scan.result import Scanned
from safegen.audit.scan.sources import Listing
from safegen.errors import InputError
from safegen.policy import Policy
from safegen.reference.render import render
from safegen.reference.world import ITEMS, Person, Scene


@pytest.fixture(scope="module")
def examiner(tmp_path_factory: pytest.TempPathFactory) -> Examiner:
    """The real detector, with a threshold that a flat colour reaches."""
    return Examiner(Policy.load(policy(tmp_path_factory.mktemp("policy"))))


def seen(examiner: Examiner, where: Path) -> dict[str, Seen]:
    """Everything by name."""
    batches = examiner.examine(Listing(str(where)).units())
    return {each.name: each for batch in batches for each in batch}


def results(examiner: Examiner, where: Path) -> dict[str, Scanned]:
    """The results by name."""
    found = seen(examiner, where)
    return {name: each.result for name, each in found.items() if each.result}


def test_images_of_every_kind(examiner: Examiner, tmp_path: Path) -> None:
    """What shows the same colour is judged the same, however the file holds it."""
    rgb = Image.new("RGB", (48, 32), FLAGGED)
    flat(tmp_path / "plain.png", FLAGGED)
    rgb.convert("CMYK").save(tmp_path / "print.tiff")
    rgb.quantize(4).save(tmp_path / "palette.gif")
    exif = rgb.getexif()
    exif[0x0112] = 6
    rgb.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    rgb.convert("RGBA").save(tmp_path / "alpha.webp", lossless=True)
    Image.fromarray(np.full((32, 48), 40_000, np.uint16)).save(tmp_path / "deep.png")
    rgb.save(tmp_path / "new.avif")
    found = results(examiner, tmp_path)

    assert {name: (each.format, each.mode) for name, each in found.items()} == {
        "plain.png": ("PNG", "RGB"),
        "print.tiff": ("TIFF", "CMYK"),
        "palette.gif": ("GIF", found["palette.gif"].mode),
        "turned.jpg": ("JPEG", "RGB"),
        "alpha.webp": ("WEBP", found["alpha.webp"].mode),
        "deep.png": ("PNG", "I;16"),
        "new.avif": ("AVIF", "RGB"),
    }
    assert {(each.width, each.height, each.frames) for each in found.values()} == {(48, 32, 1)}
    assert [each.error for each in found.values()] == [""] * 7
    assert {name for name, each in found.items() if each.flagged} == set(found) - {"deep.png"}


def test_every_frame_and_backdrop_is_judged(examiner: Examiner, tmp_path: Path) -> None:
    """One frame of many, and one backdrop of two, is enough; the findings say which."""
    frames = [Image.new("RGB", (48, 32), CLEAN) for _ in range(5)]
    frames[3] = Image.new("RGB", (48, 32), FLAGGED)
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    with Image.open(tmp_path / "film.gif") as film:
        assert len(list(ImageSequence.Iterator(film))) >= 3
    half = Image.new("RGBA", (48, 32), (200, 116, 54, 128))  # on white it is the flagged colour
    half.save(tmp_path / "clear.png")
    found = results(examiner, tmp_path)

    film_seen = found["film.gif"]
    assert film_seen.flagged == (CHECK,)
    over = [each.view for each in film_seen.findings if each.score >= 0.15]
    assert len(over) == 1
    assert 0 < over[0] < film_seen.frames
    assert [each.view for each in found["clear.png"].findings] == [0, 1]
    assert found["clear.png"].frames == 1


def test_what_cannot_be_looked_at_is_an_error(examiner: Examiner, tmp_path: Path) -> None:
    """Truncated, empty, foreign and huge files are told and never clean."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    (tmp_path / "cut.png").write_bytes(file.getvalue()[: len(file.getvalue()) // 2])
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.png").write_text("no picture")
    Image.new("1", (9000, 9000)).save(tmp_path / "huge.png")
    frames = [Image.new("L", (8, 8), number) for number in range(70)]
    frames[0].save(tmp_path / "long.gif", save_all=True, append_images=frames[1:])
    flat(tmp_path / "good.png")
    found = results(examiner, tmp_path)

    assert {name for name, each in found.items() if not each.error} == {"good.png"}
    assert "something else" in found["text.png"].error
    assert "9000x9000" in found["huge.png"].error
    assert "frames" in found["long.gif"].error
    bad = [each for name, each in found.items() if name != "good.png"]
    assert all(not each.findings and not each.detectors and each.sha256 for each in bad)


def test_a_detector_that_fails_is_an_error(tmp_path: Path) -> None:
    """One that is too slow leaves images unknown, not clean; what others saw still counts."""
    slow = "detectors:\n  clip: {timeout: 1.0e-6}\n"
    text = POLICY.replace("rules:", f"{slow}rules:")
    flat(tmp_path / "a/skin.png", FLAGGED)
    examiner = Examiner(Policy.load(policy(tmp_path, text)))
    found = results(examiner, tmp_path / "a")["skin.png"]

    assert "took longer" in found.error
    assert found.detectors == ("nsfw",)
    assert found.flagged == (CHECK,)
    assert {each.detector for each in found.findings} == {"nsfw"}


def test_scores_are_those_of_the_detectors(tmp_path: Path) -> None:
    """Under the default policy, armed people are flagged by a check that only rules ask for."""
    rng = np.random.default_rng(1)
    gun = [item.name for item in ITEMS].index("gun")
    pictures = [render(Scene(Person(0, 0, 0, item), "white", ""), rng) for item in (gun, None)]
    for picture, name in zip(pictures, ("armed.png", "calm.png"), strict=True):
        (tmp_path / "a").mkdir(exist_ok=True)
        picture.save(tmp_path / "a" / name)
    found = results(Examiner(Policy.load("default")), tmp_path / "a")
    [row] = load_detector("clip")(pictures[:1])

    assert found["armed.png"].flagged == ("clip/weapon from 0.5",)
    assert found["calm.png"].flagged == ()
    mine = {each.label: each.score for each in found["armed.png"].findings}
    assert mine["weapon"] == pytest.approx(row[0].score, abs=1e-5)


def test_nudenet_looks_at_archives_too(tmp_path: Path) -> None:
    """A detector with boxes, on the file of a picture: its findings are the same."""
    pytest.importorskip("nudenet")
    text = POLICY.replace("nsfw, label: nsfw", "nudenet, label: FACE_FEMALE")
    picture = render(Scene(Person(0, 0, 0, None), "white", ""), np.random.default_rng(0))
    picture = picture.resize((320, 320))
    (tmp_path / "a").mkdir()
    picture.save(tmp_path / "a/face.png")
    found = results(Examiner(Policy.load(policy(tmp_path, text))), tmp_path / "a")["face.png"]
    [row] = load_detector("nudenet")([picture])

    assert [(each.label, each.score, each.box) for each in found.findings] == [
        (each.label, each.score, each.box) for each in row
    ]
    assert found.findings


def test_known_images_are_not_looked_at_again(examiner: Examiner, tmp_path: Path) -> None:
    """The digest of the content decides, not the name or the time."""
    flat(tmp_path / "a.png")
    [unit] = Listing(str(tmp_path)).units()
    [[first]] = examiner.examine([unit])
    assert first.result is not None

    item = unit.items[0].__class__("a.png", str(tmp_path / "a.png"), first.result.sha256)
    known = unit.__class__((item,))
    assert list(examiner.examine([known])) == [[Seen("a.png")]]
    flat(tmp_path / "a.png", FLAGGED)
    [[again]] = examiner.examine([known])
    assert again.result is not None
    assert again.result.flagged


def test_a_thumbnail_of_what_is_flagged_only(examiner: Examiner, tmp_path: Path) -> None:
    """It is small and grey."""
    flat(tmp_path / "skin.png", FLAGGED, (400, 300))
    flat(tmp_path / "blue.png")
    found = seen(examiner, tmp_path)

    assert found["blue.png"].thumbnail == b""
    with Image.open(io.BytesIO(found["skin.png"].thumbnail)) as picture:
        assert (picture.mode, picture.size) == ("L", (160, 120))


MEMORY = """
import resource
from safegen.audit.scan.examine import Examiner
from safegen.audit.scan.sources import Listing
from safegen.policy import Policy
examiner = Examiner(Policy.load({policy!r}))
def looked_at(where):
    batches = examiner.examine(Listing(where).units())
    count = sum(len(batch) for batch in batches)
    return count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
_, few = looked_at({few!r})
count, many = looked_at({many!r})
print(count, many - few)
"""


def test_memory_does_not_grow_with_the_archive(tmp_path: Path) -> None:
    """Of thirty large pictures no more are held than of twelve, in a process of its own."""
    for number in range(30):
        path = tmp_path / "many" / f"{number}.jpg"
        flat(path, size=(2400, 2400))
        if number < 12:
            (tmp_path / "few").mkdir(exist_ok=True)
            (tmp_path / "few" / path.name).symlink_to(path)
    given = {name: str(tmp_path / name) for name in ("few", "many")}
    program = MEMORY.format(policy=str(policy(tmp_path)), **given)
    count, grown = map(int, printed(program).split())

    decoded = 2400 * 2400 * 4 // 1024  # KiB, as Pillow holds it
    assert count == 30
    assert grown < 3 * decoded  # the 18 more would be 18


def test_the_digest_follows_policy_and_detectors(examiner: Examiner, tmp_path: Path) -> None:
    """Another threshold, or another detector, is another judge; the same one is the same."""
    same = Examiner(Policy.load(policy(tmp_path)))
    other = Examiner(Policy.load(policy(tmp_path, POLICY.replace("0.15", "0.16"))))

    assert same.digest == examiner.digest != other.digest


def test_a_policy_without_detectors_is_refused(tmp_path: Path) -> None:
    """Nobody would look, and everything would come out clean."""
    text = f"{POLICY.partition('then:')[0]}then: {{block: {{reason: all}}}}\n"
    with pytest.raises(InputError, match="names no detector"):
        Examiner(Policy.load(policy(tmp_path, text)))


def told(node: object) -> object:
    """What code does, in the same words under every Python: without comments, form and docs."""
    if isinstance(node, list):
        return [told(each) for each in node if not is_text(each)]
    if isinstance(node, ast.AST):
        parts = ((name, value) for name, value in ast.iter_fields(node) if value not in (None, []))
        return [type(node).__name__, *([name, told(value)] for name, value in parts)]
    return repr(node)


def is_text(node: object) -> bool:
    """Whether it is a docstring."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def digest_of(modules: tuple[ModuleType, ...]) -> str:
    """Of what their code does."""
    sources = [Path(str(module.__file__)).read_text() for module in modules]
    return hashlib.sha256(repr([told(ast.parse(each)) for each in sources]).encode()).hexdigest()


def test_another_way_of_reading_pictures_has_another_number() -> None:
    """Code that decides what an image is judged as does not change while its number stays.

    Else archives keep the verdicts of the older code. When this fails: count `READING` up, unless
    every image is judged as before; then write both here.
    """
    pinned = (2, "2bab62cd44b975c866bf72ab5de39b1092661ad58b75673685b7b93effb03a12")

    assert (READING, digest_of((images, colours, ladder, examine))) == pinned


def test_the_number_of_the_reading_is_part_of_the_judge(
    examiner: Examiner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was judged by an older reading is judged anew."""
    text, now = policy(tmp_path), examiner.digest  # kept once it was asked for
    monkeypatch.setattr(examine, "READING", READING - 1)
    older = Examiner(Policy.load(text))

    assert older.digest != now
