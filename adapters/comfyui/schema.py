"""What a node is, for every version of ComfyUI alike."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Input:
    """One input; `options` are ComfyUI's own: default, min, max, multiline, forceInput.

    `type` is a name such as "MODEL" or "STRING", or the choices of a list.
    """

    id: str
    type: str | tuple[str, ...]
    tooltip: str
    options: dict[str, Any] = field(default_factory=dict)
    optional: bool = False
    lazy: bool = False


@dataclass(frozen=True)
class Output:
    """One output."""

    type: str
    name: str
    tooltip: str


@dataclass(frozen=True)
class Made:
    """What a node gives: its outputs, and what the web page shows on it."""

    values: tuple[Any, ...]
    ui: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Node:
    """One node.

    `run` takes the inputs by name and, where `sees_graph` is set, `prompt` and `unique_id`.
    `fingerprint` takes the widgets' values and gives what must change for the node to run again;
    `needs` takes the inputs and names the lazy ones that are wanted.
    """

    id: str
    title: str
    description: str
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    run: Callable[..., Made]
    output_node: bool = False
    sees_graph: bool = False
    fingerprint: Callable[..., Any] | None = None
    needs: Callable[..., list[str]] | None = None
    category: str = "SafeGen"
