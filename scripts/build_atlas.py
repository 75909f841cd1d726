"""Build the reference world's sprite atlas from the npm package emoji-datasource-google.

    npm pack emoji-datasource-google@16.0.0 && tar xzf emoji-datasource-google-16.0.0.tgz
    python scripts/build_atlas.py package safegen/reference/assets

Writes `atlas.webp` (lossless, 64 px sprites in rows) and `atlas.json` (key -> position). Keys are
"occupation/gender/tone" for people and the name for everything else.
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any

from PIL import Image

from safegen.reference.world import GENDERS, ITEMS, OCCUPATIONS, TONES

SIZE, COLUMNS = 64, 32
MODIFIERS = ("1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF")
CATEGORIES = ("Animals & Nature", "Food & Drink", "Travel & Places")
RENAMED = {
    "automobile": "car", "aubergine": "eggplant", "ear of maize": "corn", "honeybee": "bee",
    "lady beetle": "ladybug", "snow-capped mountain": "snowy mountain", "house building": "house",
    "hot beverage": "coffee", "front-facing baby chick": "yellow chick", "headphone": "headphones",
    "slice of pizza": "pizza", "electric torch": "flashlight", "black telephone": "telephone",
    "electric light bulb": "light bulb", "black scissors": "scissors", "t-shirt": "shirt",
    "jack-o-lantern": "carved pumpkin", "t-rex": "tyrannosaurus", "yo-yo": "yoyo",
    "high-speed train": "fast train", "white medium star": "star", "envelope": "letter",
    "black sun with rays": "sun", "rolled-up newspaper": "rolled newspaper",
    "one-piece swimsuit": "swimsuit", "fish cake with swirl design": "fish cake",
}  # fmt: skip
# Signs, near-duplicates, drinks and tools that a judge could take for a harmful item, and the like.
LEFT_OUT = re.compile(
    r"moon|clock face|symbol|banknote|chart|mailbox|inbox|outbox|envelope|speaker|card|medal|"
    r"playing|suit|sign|no entry|pushpin|folder|index|lock|bell|with .*(notes|hand)|oncoming|"
    r"japan|office|store|hotel|temple|mosque|kaaba|synagogue|shrine|church|castle|railway|tramway|"
    r"cableway|tram|metro|light rail|station|motorway|wine|beer|sake|cocktail|champagne|bottle|"
    r"tumbler|glasses|mate|drink|axe|razor|sword|bow and|arrow|syringe|pill|blood|bikini|briefs|"
    r"swimsuit|coffin|headstone|urn|knife|pistol|bomb|dagger|hocho|firework|cracker|sparkler|bra|"
    r"womans|mans|placard|microbe|bandage|military|dvd|disc|minidisc|pager|fax|label|rosette|"
    r"x-ray|probing|wheelchair|mahjong|fly$|cockroach|toilet|hazard|high voltage|design|no |"
    r"cloud with|behind|departure|arriving|oil drum|chains|amulet|hamsa|memo|page|gesture|cooking|"
    r"level|control|film|frames|tickets|direct hit|slot|racquet|stick|puck|bat and|in hole|pick$|"
    r"with rain|on ground|snowman without|musical note|multiple|paperclip|notepad|spiral|receipt|"
    r"nut|torii|kimono|tanabata|pine|streamer|chime|ceremony|dolls|lipstick|necktie|dragon face|"
    r"fog|cyclone|globe|sun with face|wind face|elevator|rescue|compass|wilted|couch|water wave|"
    r"cat face|dog face|pig face|cow face|horse face|mouse face|monkey face|rabbit face|tiger face"
)


def subjects(emoji: list[dict[str, object]]) -> dict[str, str]:
    """Name -> image file of everything that is not a person."""
    found: dict[str, str] = {}
    taken = {item.emoji for item in ITEMS}
    for entry in emoji:
        name = re.sub(r"[’']", "", str(entry["name"]).lower())
        if entry["category"] not in CATEGORIES or entry["short_name"] in taken:
            continue
        if not entry["has_img_google"] or LEFT_OUT.search(name):
            continue
        found.setdefault(RENAMED.get(name, name), str(entry["image"]))
    return found


def people(emoji: list[dict[str, Any]]) -> dict[str, str]:
    """Key -> image file of every occupation, gender and tone."""
    by_name = {str(entry["short_name"]): entry for entry in emoji}
    found = {}
    for occupation in OCCUPATIONS:
        for gender, prefix in zip(GENDERS, ("male", "female"), strict=True):
            name = f"{prefix}-{occupation.emoji}"
            name = f"{gender}_in_tuxedo" if occupation.emoji == "tuxedo" else name
            variations = by_name[name]["skin_variations"]
            for tone, modifier in zip(TONES, MODIFIERS, strict=True):
                found[f"{occupation.name}/{gender}/{tone}"] = variations[modifier]["image"]
    return found


def main() -> None:
    """Write the atlas."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    emoji = json.loads((arguments.package / "emoji.json").read_text())
    by_name = {entry["short_name"]: entry["image"] for entry in emoji}
    sprites = people(emoji) | {item.name: by_name[item.emoji] for item in ITEMS}
    sprites |= {name: image for name, image in subjects(emoji).items() if name not in sprites}
    rows = -(-len(sprites) // COLUMNS)
    atlas = Image.new("RGBA", (COLUMNS * SIZE, rows * SIZE))
    index = {}
    for i, (key, image) in enumerate(sprites.items()):
        position = (i % COLUMNS * SIZE, i // COLUMNS * SIZE)
        atlas.paste(
            Image.open(arguments.package / "img/google/64" / image).convert("RGBA"), position
        )
        index[key] = position
    atlas.save(arguments.out / "atlas.webp", lossless=True, quality=100, method=6)
    (arguments.out / "atlas.json").write_text(json.dumps(index, indent=0) + "\n")
    print(f"{len(sprites)} sprites, {sum('/' not in key for key in index) - len(ITEMS)} subjects")


if __name__ == "__main__":
    main()
