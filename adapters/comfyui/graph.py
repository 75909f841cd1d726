"""What made what, as a graph of ComfyUI's API says it (node id -> class and inputs)."""

from collections.abc import Mapping
from typing import Any

_MADE = {"LATENT", "GUIDER", "IMAGE"}


def not_steered(graph: Mapping[str, Any], audit: str) -> str:
    """Why the images that a node audits were not steered, or not all the way; empty: they were.

    Of two samplers in a row, as in a first pass and one at twice the size, either may have been
    given a model past Steer Model.
    """
    steer, made_by = source(graph, audit, "decision"), upstream(graph, audit, "images")
    if steer not in made_by:
        return "Steer Model is not between the model and the sampler of these images"
    for node in sorted(made_by):
        models = _models(graph[node]["class_type"])
        if any(source(graph, node, m) and steer not in upstream(graph, node, m) for m in models):
            kind = graph[node]["class_type"]
            return f"the node {node} ({kind}) has another model than the one Steer Model put out"
    return ""


def upstream(graph: Mapping[str, Any], node: str, name: str) -> set[str]:
    """The ids of the nodes that an input of a node depends on."""
    open_, seen = [source(graph, node, name)], set()
    while open_:
        found = open_.pop()
        if found in graph and found not in seen:
            seen.add(found)
            open_.extend(source(graph, found, each) for each in graph[found]["inputs"])
    return seen


def source(graph: Mapping[str, Any], node: str, name: str) -> str:
    """The id of the node that an input comes from; empty: from none."""
    link = graph.get(node, {}).get("inputs", {}).get(name)
    return str(link[0]) if isinstance(link, list) and len(link) == 2 else ""


def _models(kind: str) -> list[str]:
    """The inputs by which a kind of node takes a model that it makes images with."""
    from nodes import NODE_CLASS_MAPPINGS

    known = NODE_CLASS_MAPPINGS[kind]
    if not _MADE.intersection(known.RETURN_TYPES):
        return []  # sigmas, say, or the model with a LoRA
    groups = known.INPUT_TYPES()
    inputs = {**groups.get("required", {}), **groups.get("optional", {})}
    return [name for name, (of, *_) in inputs.items() if of == "MODEL"]
