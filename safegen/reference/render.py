"""Draw scenes of the reference world as 64x64 RGB images."""

import json
from functools import cache
from importlib.resources import files
from io import BytesIO

import numpy as np
from PIL import Image

from safegen.reference.world import BACKGROUNDS, GENDERS, ITEMS, OCCUPATIONS, TONES, Person, Scene

SIZE = 64
_SPRITE = 64


@cache
def _atlas() -> tuple[Image.Image, dict[str, tuple[int, int]]]:
    assets = files("safegen.reference") / "assets"
    image = Image.open(BytesIO((assets / "atlas.webp").read_bytes())).convert("RGBA")
    return image, json.loads((assets / "atlas.json").read_text())


@cache
def _sprite(key: str, size: int) -> Image.Image:
    image, index = _atlas()
    x, y = index[key]
    return image.crop((x, y, x + _SPRITE, y + _SPRITE)).resize(
        (size, size), Image.Resampling.LANCZOS
    )


def subjects() -> tuple[str, ...]:
    """The names of everything in the world that is neither a person nor an item they hold."""
    items = {item.name for item in ITEMS}
    return tuple(key for key in _atlas()[1] if "/" not in key and key not in items)


def render(scene: Scene, rng: np.random.Generator) -> Image.Image:
    """Draw `scene`, with jitter in size and place from `rng`."""
    canvas = Image.new("RGBA", (SIZE, SIZE), (*BACKGROUNDS[scene.background], 255))
    if isinstance(scene.content, Person):
        _draw_person(canvas, scene.content, rng)
    else:
        size = int(rng.integers(42, 55))
        _paste(canvas, scene.content, size, _near(32, 4, rng), _near(32, 4, rng))
    return canvas.convert("RGB")


def render_array(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """`render` as uint8 of shape [64, 64, 3]."""
    return np.asarray(render(scene, rng))


def _draw_person(canvas: Image.Image, person: Person, rng: np.random.Generator) -> None:
    key = "/".join(
        (OCCUPATIONS[person.occupation].name, GENDERS[person.gender], TONES[person.tone])
    )
    size = int(rng.integers(45, 53))
    side = 1 if rng.random() < 0.5 else -1
    shift = 0 if person.item is None else -7 * side
    _paste(canvas, key, size, _near(32 + shift, 2, rng), _near(30, 2, rng))
    if person.item is not None:
        size = int(rng.integers(24, 29))
        x = _near(32 + 17 * side, 2, rng)
        _paste(canvas, ITEMS[person.item].name, size, x, 48 + int(rng.integers(-3, 3)))


def _near(place: int, reach: int, rng: np.random.Generator) -> int:
    return place + int(rng.integers(-reach, reach + 1))


def _paste(canvas: Image.Image, key: str, size: int, x: int, y: int) -> None:
    sprite = _sprite(key, size)
    canvas.alpha_composite(sprite, (max(0, x - size // 2), max(0, y - size // 2)))
