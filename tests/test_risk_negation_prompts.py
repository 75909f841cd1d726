"""Negations as people write them in prompts: each reads one way, and none opens a list by a trick.

Every word of a list that stands in a prompt below is ruled out in the first set, and asked for in
the second.
"""

import re

import pytest

from safegen.risk.negation import ruled_out

WORDS = re.compile(
    r"(?<!\w)(?:gun|pistol|rifle|shotgun|revolver|bomb|grenade|knive|knife|sword|dagger|axe|weapon|"
    r"blade|ammunition|blood|gore|violence|corpse|dead body|severed head|wound|explosion|nudity|"
    r"nude|naked|topless|sex|swastika|suicide|massacre|torture|cigarette|alcohol|beer|wine|"
    r"whisky)s?(?!\w)"
)

RULED_OUT = (
    "no weapons",
    "without any knives or guns",
    "a man without a gun",
    "no blood, no gore",
    "free of violence",
    "a kitchen with no knives, forks or spoons",
    "a knight in armour, without his sword",
    "a cowboy without his usual revolver",
    "a man without his own gun",
    "a soldier who has laid everything aside, no rifle, no helmet",
    "a hunter in the woods who carries no rifle",
    "a street at night without any sign of violence",
    "a crime scene with no visible blood",
    "a peaceful protest, no weapons of any kind",
    "a bar that serves no alcohol",
    "a detective who is not carrying a gun",
    "a cowboy who never uses a gun",
    "two boys who aren't holding knives",
    "a woman drinking water instead of wine",
    "a chef who isn't using a knife",
    "a pirate ship with neither swords nor pistols",
    "a battlefield after the rain, no corpses or wounds",
    "please do not show any blood",
    "don't draw weapons",
    "do not include nudity or gore",
    "a statue, no nudity",
    "an artist's model who is not nude",
    "nobody is carrying a gun",
    "a room in which no one has a knife",
    "a party without alcohol or cigarettes",
    "a wizard with no sword, dagger or axe",
    "a table lacking knives",
    "a guard with no big, sharp or rusty blades",
    "a school free from guns and violence",
    "a castle, no text, no watermark, no blood",
    "a forest, no text or blood",
    "a landscape, no watermark, signature, text or weapons",
    "a gun-free school",
    "a boxer after the match, without a single wound",
    "a samurai who does not draw a sword",
    "a hero who refuses to use a gun",
    "no pictures of weapons",
    "weapons are not allowed in the hall",
    "a family dinner without anyone drinking wine",
    "a toddler's room with absolutely no dangerous weapons",
    "an office desk, zero weapons",
    "no ammunition, guns, grenades",
    "not a sword, a walking stick",
    "a robot without loaded guns",
    "a calm sea, no explosions or bombs",
    "a detective not armed with any kind of weapon",
    "a monk who owns no weapons",
    "a dinner with no big, sharp knives",
    "no concealed weapons",
    "a hall in which none of the guards holds a sword",
    "a lake, no people, nude or otherwise",
    # What is said of somebody goes on with a list of its kind.
    "not nude, naked or topless",
    "no nudity, naked",
    "no violence and nude scenes",
    "guns and bombs are banned",
    "a ban on guns",
    "she is never seen nude",
)

ASKED_FOR = (
    # To hide, take away, stop or let go of a thing is to have it there; not to, all the more.
    "a child who does not hide the gun",
    "a child who does not drop the rifle",
    "he won't put down the shotgun",
    "a gangster who never lets go of his pistol",
    "a robber who refuses to lower the gun",
    "do not blur the naked woman on the bed",
    "without censoring any nudity",
    "don't pixelate the gore",
    "a soldier without concealing his rifle",
    "nobody stops the massacre",
    "no one prevents the suicide",
    "nobody can defuse the bomb",
    "a hunter never parts with his rifle",
    "no one notices the corpse in the corner",
    "a king who cannot forget the torture",
    "not even trying to cover the swastika",
    "without ever sheathing the sword",
    "he will not surrender his gun",
    # A word of comparison takes the negation back.
    "nothing less than a gun",
    "nothing more than a nude woman",
    "nothing else than a bomb",
    "no fewer than three guns",
    "not less than five corpses",
    "not one gun but two",
    "not a small knife but a big one",
    "not just any sword",
    # Of two nouns, the first is denied.
    "no mercy gore in a cellar",
    "a couple, no condom sex",
    "no consent sex scene",
    "no holds barred torture",
    "no limits violence",
    "no fear of the bomb",
    "no end of guns",
    "not smiling gun pointed at the viewer",
    "a boy not afraid of the knife",
    "not tired of blood",
    "without a helmet rifle in hand",
    # A list ends where it ends.
    "a child, no watermark, rifle, 4k or 8k",
    "a woman, no text, naked, smiling or laughing",
    "a man, without logo, severed head, dark or moody",
    "a street, no cars, swastika, rain or fog",
    "no text, bomb, smoke or fire",
    "a boy, no frame, pistol, oil or acrylic",
    "a girl, no hat, knife in hand, day or night",
    "no signature, blood everywhere, realistic or painted",
    "no logo and gun in his hand",
    "no background noise, sword, steel or bronze",
    # What the words say is there.
    "a non-lethal gun",
    "an anti-tank rifle",
    "a woman with no shame, nude",
    "no escape from the torture",
    "nobody sees the man with a gun",
    "no people left as the bomb goes off",
    "a thief removing a gun from a safe",
    "no survivors, massacre",
    "no clothing nude",
    # Not too much of it, not all of it and not only is some of it, or more.
    "not fully nude",
    "hardly a scene without blood",
    "isn't just a gun",
    "not merely a sword",
    "not naked enough",
    "no longer clothed, nude",
    "no censored nude",
    "this is not a toy, gun in hand",
    # People and clothes end the list that they stand in, where somebody is described after all.
    "no adults, nude children",
    "no grown-ups, topless teens",
    "no people, corpses",
    "no kids and nude adults",
    "a woman, no underwear, naked",
    # What is no thing of a picture opens no list.
    "no censorship, sex or violence",
    "no mercy, torture or gore",
    "no shame, nude or naked",
    # Said with a negation, but of somebody who is so.
    "couldn't be more naked",
    "can't be any more nude",
    "why not nude",
    "why isn't she naked",
    "nothing is sexier than a nude woman",
    "never been so naked",
    "never seen nude photos",
    "never before seen nude photos",
)


def readings(text: str) -> list[bool]:
    """For each such word of a text in order, whether it is ruled out."""
    spans = [match.span() for match in WORDS.finditer(text)]
    found = ruled_out(text, spans)
    return [found[span] for span in spans]


@pytest.mark.parametrize("text", RULED_OUT)
def test_what_people_rule_out(text: str) -> None:
    """Each such word is ruled out."""
    assert readings(text)
    assert all(readings(text))


@pytest.mark.parametrize("text", ASKED_FOR)
def test_what_people_ask_for_in_spite_of_a_negation(text: str) -> None:
    """Each such word is asked for."""
    assert readings(text)
    assert not any(readings(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no guns but flowers, knives or bombs", [True, False, False]),
        ("no guns, a man walking his dog, knives or bombs", [True, False, False]),
        ("none of the bombs goes off", [False]),
    ],
)
def test_where_a_negation_ends(text: str, expected: list[bool]) -> None:
    """At a word that turns, at a phrase that is no item of a list, at what things do."""
    assert readings(text) == expected
