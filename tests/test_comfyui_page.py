"""The nodes in ComfyUI's own web page, in a browser."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsers import chromium, until
from comfyui_client import PACK
from comfyui_tree import Server
from selenium import webdriver

DOCS = Path(__file__).parent.parent / "docs"
_SECONDS = 90


@pytest.fixture
def page(comfyui: Server, tmp_path: Path) -> Iterator[webdriver.Chrome]:
    """The page, opened by somebody who has seen the tour."""
    comfyui.post("/settings", {"Comfy.TutorialCompleted": True, "Comfy.Minimap.Visible": False})
    with chromium(tmp_path) as driver:
        driver.set_window_size(1600, 860)
        driver.set_script_timeout(_SECONDS)
        driver.get(f"http://{comfyui.address}/")
        registered = "return !!window.LiteGraph?.registered_node_types?.SafeGenAuditImage"
        until(lambda: driver.execute_script(registered))
        yield driver


def awaited(page: webdriver.Chrome, script: str) -> Any:
    """What a script with `await` gives."""
    body = f"(async () => {{{script}}})().then(arguments[0], e => arguments[0]('' + e))"
    return page.execute_async_script(body)


def picture(page: webdriver.Chrome, name: str) -> None:
    """Takes a screenshot of the guide, where SAFEGEN_UPDATE_DOCS asks for it."""
    if os.environ.get("SAFEGEN_UPDATE_DOCS"):
        time.sleep(2)  # until everything is drawn
        page.save_screenshot(str(DOCS / name))


def test_the_example_is_opened_and_run_in_the_page(page: webdriver.Chrome, comfyui: Server) -> None:
    """The template that ComfyUI offers from the pack runs to its end, and shows images and report.

    What the page sends is the example in API form.
    """
    assert json.loads(comfyui.get("/workflow_templates"))["safegen"] == ["guarded"]
    opened = awaited(
        page,
        "const graph = await (await fetch('/api/workflow_templates/safegen/guarded.json')).json();"
        "await app.loadGraphData(graph, true, true, 'guarded');"
        "return (await app.graphToPrompt()).output",
    )
    sent = {name: node["inputs"] for name, node in opened.items()}
    known = json.loads((PACK / "api/guarded.json").read_text(encoding="utf-8"))
    for name, node in known.items():
        assert node["class_type"] == opened[name]["class_type"]
        assert node["inputs"].items() <= sent[name].items()
    page.find_element("css selector", "[data-testid='queue-button']").click()
    shown = "return (app.nodeOutputs ?? {})[arguments[0]]"
    images = until(lambda: page.execute_script(shown, "13"))["images"]
    report = json.loads(until(lambda: page.execute_script(shown, "15"))["text"][0])
    until(lambda: page.execute_script(shown, "14"))

    assert len(images) == 4
    assert report["outcome"] == "steered"
    assert not page.execute_script("return app.lastNodeErrors")
    picture(page, "comfyui.png")


def test_an_error_is_shown_on_its_node(page: webdriver.Chrome) -> None:
    """A policy that is misspelt: the page marks its node, and one click tells how to mend it."""
    awaited(
        page,
        "const graph = await (await fetch('/api/workflow_templates/safegen/guarded.json')).json();"
        "graph.nodes.find(n => n.type == 'SafeGenLoadPolicy').widgets_values[0] = 'defualt';"
        "await app.loadGraphData(graph); await app.queuePrompt(0)",
    )
    error = until(lambda: page.execute_script("return app.lastExecutionError"))
    details = "//button[contains(., 'View details')]"
    until(lambda: page.find_elements("xpath", details))[0].click()
    until(lambda: page.execute_script("return window.find('Stack Trace')"))
    page.execute_script(  # what stands above it is the message
        "const place = document.createElement('span');"
        "getSelection().getRangeAt(0).insertNode(place);"
        "place.scrollIntoView({block: 'end'})"
    )

    assert error["node_type"] == "SafeGenLoadPolicy"
    assert error["exception_message"].strip() in page.find_element("css selector", "body").text
    picture(page, "comfyui-error.png")
