"""The nodes for versions of ComfyUI before the V3 schema."""

from typing import Any

from safegen.adapters.comfyui.nodes import NODES
from safegen.adapters.comfyui.schema import Input, Node


def _described(each: Input) -> tuple[Any, dict[str, Any]]:
    kind = list(each.type) if isinstance(each.type, tuple) else each.type
    options = each.options | {"tooltip": each.tooltip} | ({"lazy": True} if each.lazy else {})
    return kind, options


def _class(node: Node) -> type:
    described: dict[str, Any] = {"required": {}, "optional": {}}
    for each in node.inputs:
        described["optional" if each.optional else "required"][each.id] = _described(each)
    if node.sees_graph:
        described["hidden"] = {"prompt": "PROMPT", "unique_id": "UNIQUE_ID"}

    def run(_: Any, **inputs: Any) -> dict[str, Any]:
        made = node.run(**inputs)
        return {"result": made.values, "ui": made.ui}

    def input_types(_: type) -> dict[str, Any]:
        return described

    body: dict[str, Any] = {
        "INPUT_TYPES": classmethod(input_types),
        "RETURN_TYPES": tuple(output.type for output in node.outputs),
        "RETURN_NAMES": tuple(output.name for output in node.outputs),
        "OUTPUT_TOOLTIPS": tuple(output.tooltip for output in node.outputs),
        "FUNCTION": "run",
        "CATEGORY": node.category,
        "DESCRIPTION": node.description,
        "OUTPUT_NODE": node.output_node,
        "run": run,
    }
    if fingerprint := node.fingerprint:
        body["IS_CHANGED"] = classmethod(lambda _, **inputs: fingerprint(**inputs))
    if needs := node.needs:
        body["check_lazy_status"] = lambda _, **inputs: needs(**inputs)
    return type(node.id, (), body)


NODE_CLASS_MAPPINGS = {node.id: _class(node) for node in NODES}
NODE_DISPLAY_NAME_MAPPINGS = {node.id: node.title for node in NODES}
