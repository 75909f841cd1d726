"""Marks in ComfyUI: what a policy wants marked leaves as a marked file that the record names."""

import hashlib
import io
import json
import os
import shutil
import urllib.parse
from pathlib import Path
from typing import Any

import comfyui_tree
import numpy as np
import pytest
from comfyui_client import FLAGS, POLICY, Client, Ended, Graph, guarded, report, wired
from comfyui_tree import Server
from PIL import Image
from typer.testing import CliRunner

from safegen.audit.ledger import read
from safegen.audit.marking.certificates import CERTIFICATES, KEY, ROOT, make_certificates
from safegen.audit.marking.reading import EDITED, read_credentials
from safegen.cli.main import app
from safegen.nouns import Record

MARKS = POLICY.replace("THEN", "{steer: [{concept: woman}], mark: true}")
FLAGS_AND_MARKS = FLAGS.replace("{steer: [{concept: woman}]}", "{mark: true}")
ONE = {"images": 1, "batch_size": 1}
TWO = {"images": 2, "batch_size": 2}


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    """Of file names, in a folder of this test alone."""
    return f"{tmp_path.name}/out"


@pytest.fixture
def files(comfyui: Server, tmp_path: Path) -> Any:
    """Names what was written there."""
    folder = comfyui.folder / "output" / tmp_path.name
    return lambda: sorted(each.name for each in folder.glob("*"))


def marking(certificates: Path, prefix: str, **changes: Any) -> Graph:
    """The example with Load Marker on Load Policy, and nothing that saves but Audit Image."""
    paths = {"certificates": str(certificates / CERTIFICATES), "key": str(certificates / KEY)}
    graph = wired(guarded(**changes), "17", "SafeGenLoadMarker", **paths, format="png")
    graph = wired(wired(graph, "2", marker=["17", 0]), "12", filename_prefix=prefix)
    return {name: node for name, node in graph.items() if name != "13"}


def going_wrong(how: str, prefix: str, chosen: dict[str, str], **changes: Any) -> Graph:
    """The example with another pack's marker."""
    graph = wired(guarded(**chosen, **changes), "17", "TestMarker", how=how)
    graph = wired(graph, "17", ledger=chosen["ledger"])
    return wired(wired(graph, "2", marker=["17", 0]), "12", filename_prefix=prefix)


def shown(client: Client, ended: Ended) -> list[bytes]:
    """The files that the page shows on Audit Image."""
    asked = ended.outputs["12"]["images"]
    return [client.server.get(f"/view?{urllib.parse.urlencode(each)}") for each in asked]


def kinds(ended: Ended) -> list[str]:
    """Of which of ComfyUI's folders they are."""
    return [each["type"] for each in ended.outputs["12"]["images"]]


def recorded(chosen: dict[str, str]) -> Record:
    """The ledger's only record."""
    ((_, record),) = read(chosen["ledger"])
    assert isinstance(record, Record)
    return record


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
def test_files_are_marked_and_lead_to_their_record(
    client: Client, house: Any, certificates: Path, prefix: str, files: Any, form: str
) -> None:
    """Intact, vouched for, and returned, as the ledger says; the key is nowhere."""
    chosen = house(MARKS)
    graph = wired(marking(certificates, prefix, **chosen, **TWO), "17", format=form)
    ended = client.run(graph)
    told, record = report(ended), recorded(chosen)

    assert kinds(ended) == ["output", "output"]
    assert files() == [f"out_00001_.{form}", f"out_00002_.{form}"]
    assert told["files"] == [f"{Path(prefix).parent}/{name}" for name in files()]
    assert told["outcome"] == record.outcome == "steered"
    for file, name, image in zip(shown(client, ended), told["files"], record.images, strict=True):
        path = client.server.folder / "output" / name
        assert path.read_bytes() == file
        assert image.marked == hashlib.sha256(file).hexdigest()
        assert image.marked_by.startswith("c2pa sha256:")
        asked = ["marks", "read", str(path), "--roots", str(certificates / ROOT)]
        done = CliRunner().invoke(app, [*asked, "--ledger", chosen["ledger"]])
        assert done.exit_code == 0
        assert done.stdout.splitlines()[0] == "intact"
        assert done.stdout.splitlines()[-1] == "the ledger says that this file was returned"
    secret = (certificates / KEY).read_bytes().splitlines()[1]
    kept = [*client.server.folder.rglob("*"), *Path(chosen["ledger"]).rglob("*")]
    assert not [each for each in kept if each.is_file() and secret in each.read_bytes()]


def test_images_go_on_as_they_were(
    client: Client, house: Any, certificates: Path, prefix: str
) -> None:
    """What a node behind Audit Image saves has the pixels of the marked files, and no mark."""
    graph = marking(certificates, prefix, **house(MARKS), **TWO)
    ended = client.run(graph | {"13": guarded()["13"]})
    saved = ended.outputs["13"]["images"][0]
    file = client.server.get(f"/view?{urllib.parse.urlencode(saved)}")

    assert np.array_equal(client.images(ended, "12"), client.images(ended, "13"))
    assert read_credentials(file) is None


@pytest.mark.parametrize("anew", [False, True])
def test_a_picture_that_was_given_is_edited(
    client: Client, house: Any, certificates: Path, prefix: str, anew: bool
) -> None:
    """But not one that the graph itself made, which it encodes for a second pass."""
    graph = marking(certificates, prefix, **house(MARKS), **ONE)
    if anew:
        graph = wired(
            graph | {"18": graph["9"]}, "19", "VAEDecode", samples=["18", 0], vae=["1", 2]
        )
    else:
        graph = wired(graph, "19", "EmptyImage", width=64, height=64, batch_size=1, color=99)
    graph = wired(graph, "20", "VAEEncode", pixels=["19", 0], vae=["1", 2])
    graph = wired(graph, "9", latent_image=["20", 0])
    (file,) = shown(client, client.run(wired(graph, "11", latent=["20", 0])))
    credentials = read_credentials(file)

    assert credentials is not None
    assert credentials.generated
    assert credentials.mark is not None
    assert credentials.mark.edited == (EDITED.encode() in file) == (not anew)


def test_the_pack_eu(
    client: Client, certificates: Path, prefix: str, files: Any, tmp_path: Path
) -> None:
    """It marks what is asked for from there, and nothing else."""
    chosen = {"policy": "eu", "ledger": str(tmp_path / "ledger"), "text": "a plate of macarons"}
    graph = marking(certificates, prefix, **chosen, **ONE)
    abroad = client.run(wired(graph, "3", region="us"))
    before = files()
    there = client.run(wired(graph, "3", region="eu"))

    assert report(abroad)["images"][0]["marked_by"] == ""
    assert (kinds(abroad), before) == (["temp"], [])
    assert (kinds(there), files()) == (["output"], ["out_00001_.png"])


def test_older_versions_mark_too(
    client: Client, house: Any, certificates: Path, prefix: str, files: Any
) -> None:
    """As V1 mappings, and with paths as the server's working directory has them."""
    chosen = house(MARKS)
    paths = {
        name: os.path.relpath(certificates / file, comfyui_tree.TREE)
        for name, file in (("certificates", CERTIFICATES), ("key", KEY))
    }
    graph = wired(marking(certificates, prefix, **chosen, **ONE), "17", **paths)
    client.run(json.loads(json.dumps(graph).replace('"SafeGen', '"V1SafeGen')))

    assert recorded(chosen).images[0].marked
    assert files() == ["out_00001_.png"]


def test_no_file_takes_the_place_of_another(
    client: Client, house: Any, certificates: Path, tmp_path: Path, files: Any
) -> None:
    """Also where ComfyUI counts from one each time, as it does with such a prefix."""
    graph = marking(certificates, f"{tmp_path.name}/out/", **house(MARKS), **ONE)
    ended = [client.run(graph) for _ in range(2)]

    assert files() == ["out_00001_.png", "out_00002_.png"]
    assert [report(each)["files"] for each in ended] == [
        [f"{tmp_path.name}/{name}"] for name in files()
    ]


def test_other_certificates_are_read(
    client: Client, house: Any, certificates: Path, prefix: str, tmp_path: Path
) -> None:
    """From the next graph on, without a restart."""
    chosen, mine, other = house(MARKS), tmp_path / "mine", tmp_path / "other"
    shutil.copytree(certificates, mine)
    graph = marking(mine, prefix, **chosen, **ONE)
    client.run(graph)
    make_certificates(other)
    for name in (CERTIFICATES, KEY):
        shutil.copy(other / name, mine / name)
    ended = client.run(graph)
    by = [record.images[0].marked_by for _, record in read(chosen["ledger"])]

    assert not ended.error
    assert len(set(by)) == 2


@pytest.mark.parametrize("kind", ["SafeGen", "V1SafeGen"])
def test_a_policy_that_marks_is_refused_without_a_marker(
    client: Client, house: Any, kind: str
) -> None:
    """At once, with what to wire: nothing is sampled, so nothing leaves unmarked."""
    chosen = house(MARKS)
    graph = json.dumps(guarded(**chosen, **ONE)).replace('"SafeGen', f'"{kind}')
    ended = client.run(json.loads(graph))

    assert ended.error["node_type"] == f"{kind}LoadPolicy"
    assert "the rule 'a' of the policy 'house'" in ended.error["exception_message"]
    assert "wire Load Marker" in ended.error["exception_message"]
    assert "9" not in ended.ran
    assert not Path(chosen["ledger"]).exists()


def test_elsewhere(client: Client, house: Any, prefix: str, files: Any) -> None:
    """The record says whose work it is, and no marked file is written."""
    chosen = house(MARKS)
    graph = wired(guarded(**chosen, **ONE), "17", "SafeGenMarkedElsewhere")
    ended = client.run(wired(wired(graph, "2", marker=["17", 0]), "12", filename_prefix=prefix))
    (image,) = recorded(chosen).images

    assert (image.marked, image.marked_by) == ("", "elsewhere")
    assert (kinds(ended), report(ended)["files"], files()) == (["temp"], [None], [])


def test_a_marker_that_fails(client: Client, house: Any, prefix: str, files: Any) -> None:
    """No image comes out and no file is written, and that is on record."""
    chosen = house(MARKS)
    ended = client.run(going_wrong("fails", prefix, chosen, **TWO))
    record = recorded(chosen)

    assert ended.error["node_type"] == "SafeGenAuditImage"
    assert "the KMS is away" in ended.error["exception_message"]
    assert "13" not in ended.ran
    assert (record.outcome, record.images, files()) == ("error", (), [])


def test_without_a_record_no_file_stays(
    client: Client, house: Any, prefix: str, files: Any
) -> None:
    """The record comes first."""
    chosen = house(MARKS)
    ended = client.run(going_wrong("takes the ledger away", prefix, chosen, **ONE))

    assert ended.error["node_type"] == "SafeGenAuditImage"
    assert "cannot write the record" in ended.error["exception_message"]
    assert "13" not in ended.ran
    assert files() == []


def test_all_files_are_written_or_none(client: Client, house: Any, prefix: str, files: Any) -> None:
    """Where the second fails, the first does not stay, and the message names the record."""
    chosen = house(MARKS)
    ended = client.run(going_wrong("second is no picture", prefix, chosen, **TWO))

    assert ended.error["node_type"] == "SafeGenAuditImage"
    assert recorded(chosen).id in ended.error["exception_message"]
    assert "13" not in ended.ran
    assert files() == []


def test_what_is_withheld_gives_no_file(
    client: Client, house: Any, certificates: Path, prefix: str, files: Any
) -> None:
    """The page shows its placeholder in its place, between the marked files of the others."""
    chosen = house(FLAGS_AND_MARKS.replace("LADDER", "[{action: block}]"))
    graph = marking(certificates, prefix, **chosen, images=4, batch_size=4)
    all_ = client.run(graph)
    before, scores = files(), [each["findings"][0]["score"] for each in report(all_)["images"]]
    between = sum(sorted(scores)[1:3]) / 2
    house(FLAGS_AND_MARKS.replace("LADDER", "[{action: block}]").replace("0.0}", f"{between}}}"))
    half = client.run(graph)
    passes = [score < between for score in scores]

    assert sorted(passes) == [False, False, True, True]
    assert (kinds(all_), before) == (["temp"] * 4, [])
    assert kinds(half) == ["output" if each else "temp" for each in passes]
    assert [bool(image["marked"]) for image in report(half)["images"]] == passes
    assert [file is not None for file in report(half)["files"]] == passes
    assert [read_credentials(file) is not None for file in shown(client, half)] == passes
    assert len(files()) == 2


def test_a_blurred_image_is_marked_as_it_is_returned(
    client: Client, house: Any, certificates: Path, prefix: str
) -> None:
    """The file has the pixels that come out."""
    chosen = house(FLAGS_AND_MARKS.replace("LADDER", "[{action: blur}]"))
    graph = marking(certificates, prefix, **chosen, **ONE)
    ended = client.run(graph | {"13": guarded()["13"]})
    (file,) = shown(client, ended)

    assert report(ended)["outcome"] == "altered"
    assert read_credentials(file) is not None
    picture = np.asarray(Image.open(io.BytesIO(file)))
    assert np.array_equal(picture, client.images(ended, "13")[0])


def test_a_place_outside_the_output_folder_is_refused(
    client: Client, house: Any, certificates: Path
) -> None:
    """Before anything is sampled."""
    chosen = house(MARKS)
    ended = client.run(marking(certificates, "../elsewhere/out", **chosen, **ONE))

    assert ended.error["node_type"] == "SafeGenAuditImage"
    assert "filename_prefix '../elsewhere/out'" in ended.error["exception_message"]
    assert "9" not in ended.ran
    assert not (client.server.folder / "elsewhere").exists()


@pytest.mark.parametrize(
    ("file", "says"),
    [("", "expected a path as key"), ("none.pem", "cannot read the private key none.pem")],
)
def test_a_key_that_is_not_there(
    client: Client, house: Any, certificates: Path, prefix: str, file: str, says: str
) -> None:
    """It is told on Load Marker."""
    ended = client.run(wired(marking(certificates, prefix, **house(MARKS), **ONE), "17", key=file))

    assert ended.error["node_type"] == "SafeGenLoadMarker"
    assert says in ended.error["exception_message"]
