"""A user's client of ComfyUI: it queues a graph over HTTP and follows it over the websocket."""

import copy
import io
import json
import time
import urllib.parse
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from comfyui_tree import Server
from PIL import Image
from websockets.sync.client import ClientConnection, connect

PACK = Path(__file__).parent.parent / "adapters/comfyui/pack"
Graph = dict[str, Any]
_SECONDS = 120
POLICY = """
apiVersion: safegen/v1
metadata: {name: house, version: "1"}
rules: [{id: a, when: 'true', then: THEN}]
"""
STEER = POLICY.replace("THEN", "{steer: [{concept: woman}]}")
BLOCK = POLICY.replace("THEN", "{block: {reason: closed}}")
FLAGS = STEER + "checks: [{detector: nsfw, label: nsfw, threshold: 0.0}]\nladder: LADDER\n"


def guarded(**changes: Any) -> Graph:
    """The example workflow, with few steps; `changes` are values of inputs, wherever they occur."""
    graph: Graph = json.loads((PACK / "api/guarded.json").read_text(encoding="utf-8"))
    return changed(graph, **({"steps": 4} | changes))


def changed(graph: Graph, **changes: Any) -> Graph:
    """A copy with other values of the inputs of these names, where they are no links."""
    copied = copy.deepcopy(graph)
    for node in copied.values():
        for name, value in changes.items():
            if name in node["inputs"] and not isinstance(node["inputs"][name], list):
                node["inputs"][name] = value
    return copied


def wired(graph: Graph, name: str, kind: str = "", **inputs: Any) -> Graph:
    """The graph with a node more, of that kind, or with other inputs of one that it has."""
    node = copy.deepcopy(graph.get(name, {"class_type": kind, "inputs": {}}))
    node["inputs"] |= inputs
    return graph | {name: node}


def bare(graph: Graph) -> Graph:
    """The same graph without SafeGen between prompt, model and images."""
    plain = copy.deepcopy(graph)
    text = plain["3"]["inputs"]["text"]
    plain["6"]["inputs"]["text"], plain["7"]["inputs"]["text"] = text, ""
    plain["9"]["inputs"]["model"], plain["13"]["inputs"]["images"] = ["1", 0], ["10", 0]
    return {n: node for n, node in plain.items() if n in ("1", "6", "7", "8", "9", "10", "13")}


@dataclass
class Ended:
    """How a graph ended: its nodes in the order in which they ran, what they put out, an error."""

    ran: list[str] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] = field(default_factory=dict)
    interrupted: bool = False


@contextmanager
def connected(server: Server) -> Iterator["Client"]:
    """A client with a websocket of its own."""
    name = uuid.uuid4().hex
    with connect(f"ws://{server.address}/ws?clientId={name}") as socket:
        yield Client(server, name, socket)


@dataclass
class Client:
    """One client of a server."""

    server: Server
    id: str
    socket: ClientConnection

    def queue(self, graph: Graph) -> str:
        """The id of the queued graph."""
        answer = self.server.post("/prompt", {"prompt": graph, "client_id": self.id})
        assert "prompt_id" in answer, answer
        return str(answer["prompt_id"])

    def run(self, graph: Graph, *, cancel_at: str = "") -> Ended:
        """Queue a graph and wait for its end; `cancel_at`: interrupt once that node makes steps."""
        return self.wait(self.queue(graph), cancel_at=cancel_at)

    def wait(self, prompt_id: str, *, cancel_at: str = "") -> Ended:
        """Follow a queued graph to its end."""
        ended, until = Ended(), time.monotonic() + _SECONDS
        while time.monotonic() < until:
            message = self.socket.recv(timeout=_SECONDS)
            if isinstance(message, bytes):  # a preview of an image
                continue
            event = json.loads(message)
            kind, data = event["type"], event["data"]
            if data.get("prompt_id") != prompt_id:
                continue
            if kind == "executing" and data["node"]:
                ended.ran.append(data["node"])
            elif kind == "progress" and data["node"] == cancel_at:
                self.server.post("/interrupt", {})
            elif kind == "executed":
                ended.outputs[data["node"]] = data["output"]
            elif kind == "execution_error":
                ended.error = data
                return ended
            elif kind == "execution_interrupted":
                ended.interrupted = True
                return ended
            elif kind == "execution_success":
                return ended
        raise TimeoutError(f"the graph {prompt_id} did not end")

    def history(self, prompt_id: str) -> dict[str, Any]:
        """What the server keeps of a graph that another client queued, once it has ended."""
        until = time.monotonic() + _SECONDS
        while time.monotonic() < until:
            kept = json.loads(self.server.get(f"/history/{prompt_id}"))
            if prompt_id in kept:
                return dict(kept[prompt_id])
            time.sleep(0.2)
        raise TimeoutError(f"the graph {prompt_id} did not end")

    def images(self, ended: Ended, node: str = "13") -> np.ndarray:
        """What a node saved or previewed, uint8 [B, H, W, 3]."""
        shown = []
        for image in ended.outputs[node]["images"]:
            body = self.server.get(f"/view?{urllib.parse.urlencode(image)}")
            shown.append(np.asarray(Image.open(io.BytesIO(body)).convert("RGB")))
        return np.stack(shown)


def report(ended: Any) -> dict[str, Any]:
    """What Audit Image reported."""
    assert not ended.error, ended.error["exception_message"]
    return dict(json.loads(ended.outputs["15"]["text"][0]))
