"""What made what, as a graph of ComfyUI's API says it (node id -> class and inputs)."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from safegen.errors import SteeringError

_MADE = {"LATENT", "GUIDER", "IMAGE"}
# Types in which no model travels. Those of other packs may be pipes: a model among other things.
_PLAIN = {
    "AUDIO", "BOOLEAN", "CLIP", "CLIP_VISION", "CLIP_VISION_OUTPUT", "COMBO", "CONDITIONING",
    "CONTROL_NET", "FLOAT", "GLIGEN", "HOOKS", "HOOK_KEYFRAMES", "IMAGE", "INT", "LATENT",
    "LATENT_OPERATION", "LORA_MODEL", "MASK", "NOISE", "PHOTOMAKER", "SAMPLER", "SIGMAS", "STRING",
    "STYLE_MODEL", "TIMESTEPS_RANGE", "UPSCALE_MODEL", "VAE", "VIDEO",
}  # fmt: skip


def not_steered(graph: Mapping[str, Any], audit: str) -> str:
    """Why the images that a node audits cannot have been steered, or not all the way.

    Of two samplers in a row, as in a first pass and one at twice the size, either may have been
    given a model past Steer Model, by itself or in a pipe. Empty: nothing in the graph says so.
    """
    steer, made_by = source(graph, audit, "decision"), upstream(graph, audit, "images")
    if steer not in made_by:
        return "Steer Model is not between the model and the sampler of these images"
    for node in sorted(made_by):
        kind = graph[node]["class_type"]
        if not _MADE.intersection(_outputs(kind)):
            continue  # sigmas, say, or the model with a LoRA
        for name in graph[node]["inputs"]:
            bearers = upstream(graph, node, name, _bears)
            models = any("MODEL" in _outputs(graph[each]["class_type"]) for each in bearers)
            if models and steer not in bearers:
                return (
                    f"the node {node} ({kind}) has another model than the one Steer Model put out"
                )
    return ""


def edits(graph: Mapping[str, Any], audit: str) -> bool:
    """Whether the images that a node audits were begun from a picture, and not from noise alone.

    What encodes one takes it as `pixels`; a picture that the graph itself made, as in a second pass
    at twice the size, comes out of latents.
    """
    return any(
        not any("LATENT" in _outputs(graph[each]["class_type"]) for each in made_of)
        for node in upstream(graph, audit, "images")
        if (made_of := upstream(graph, node, "pixels"))
    )


def upstream(
    graph: Mapping[str, Any],
    node: str,
    name: str,
    along: Callable[[Mapping[str, Any], str, str], bool] = lambda *_: True,
) -> set[str]:
    """The ids of the nodes that an input of a node depends on, by links of which `along` holds."""
    open_, seen = [(node, name)], set()
    while open_:
        at, taken = open_.pop()
        found = source(graph, at, taken)
        if found in graph and found not in seen and along(graph, at, taken):
            seen.add(found)
            open_.extend((found, each) for each in graph[found]["inputs"])
    return seen


def source(graph: Mapping[str, Any], node: str, name: str) -> str:
    """The id of the node that an input comes from; empty: from none."""
    link = graph.get(node, {}).get("inputs", {}).get(name)
    return str(link[0]) if isinstance(link, list) and len(link) == 2 else ""


def signatures(graph: Mapping[str, Any]) -> dict[str, str]:
    """Of each node the same text while its settings, and those of all it depends on, are the same.

    Of such a node ComfyUI may have kept what it gave in an earlier run.
    """
    known: dict[str, str] = {}

    def of(each: str) -> str:
        if each not in known:
            known[each] = ""  # in a circle, which ComfyUI refuses
            inputs = graph[each]["inputs"]
            settings = {
                name: [of(found), inputs[name][1]]
                if (found := source(graph, each, name)) in graph
                else inputs[name]
                for name in sorted(inputs)
            }
            text = json.dumps([graph[each]["class_type"], settings], sort_keys=True, default=repr)
            known[each] = hashlib.sha256(text.encode()).hexdigest()
        return known[each]

    for node in graph:
        of(node)
    return known


def executing() -> tuple[str, str]:
    """The id of the queued graph that runs now, and that of its node.

    Raises:
        SteeringError: ComfyUI does not say: it is too old.
    """
    try:
        from comfy_execution.utils import get_executing_context
    except ImportError:
        now = None
    else:
        now = get_executing_context()
    if now is None:
        raise SteeringError(
            "ComfyUI does not say which node it runs, so that nobody can tell what was steered",
            "use a version with comfy_execution.utils (since August 2025)",
        )
    return now.prompt_id, now.node_id


def _bears(graph: Mapping[str, Any], node: str, name: str) -> bool:
    """Whether a model may travel on a link: by what it comes out of, and what it goes into."""
    found, place = graph[node]["inputs"][name]
    given, taken = _outputs(graph[found]["class_type"]), _inputs(graph[node]["class_type"])
    return (given[place] if place < len(given) else "*") not in _PLAIN and (
        taken.get(name, "*") not in _PLAIN
    )


def _outputs(kind: str) -> tuple[str, ...]:
    from nodes import NODE_CLASS_MAPPINGS

    return tuple(str(each) for each in NODE_CLASS_MAPPINGS[kind].RETURN_TYPES)


def _inputs(kind: str) -> dict[str, str]:
    from nodes import NODE_CLASS_MAPPINGS

    groups = NODE_CLASS_MAPPINGS[kind].INPUT_TYPES()
    inputs = {**groups.get("required", {}), **groups.get("optional", {})}
    return {name: of if isinstance(of, str) else "COMBO" for name, (of, *_) in inputs.items()}
