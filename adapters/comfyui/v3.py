"""The nodes in ComfyUI's V3 schema."""

from typing import Any

from comfy_api.latest import ComfyExtension, io

from safegen.adapters.comfyui.nodes import NODES
from safegen.adapters.comfyui.schema import Input, Node

_WIDGETS = {"STRING": io.String, "INT": io.Int, "FLOAT": io.Float, "BOOLEAN": io.Boolean}


def _input(each: Input) -> Any:
    common = {"tooltip": each.tooltip, "optional": each.optional, "lazy": each.lazy or None}
    options = {("force_input" if k == "forceInput" else k): v for k, v in each.options.items()}
    if isinstance(each.type, tuple):
        return io.Combo.Input(each.id, options=list(each.type), **common, **options)
    kind = _WIDGETS.get(each.type) or io.Custom(each.type)
    return kind.Input(each.id, **common, **options)


def _class(node: Node) -> type:
    def define_schema(_: type) -> Any:
        return io.Schema(
            node_id=node.id,
            display_name=node.title,
            category=node.category,
            description=node.description,
            inputs=[_input(each) for each in node.inputs],
            outputs=[
                io.Custom(output.type).Output(display_name=output.name, tooltip=output.tooltip)
                for output in node.outputs
            ],
            hidden=[io.Hidden.prompt, io.Hidden.unique_id] if node.sees_graph else [],
            is_output_node=node.output_node,
        )

    def execute(cls: Any, /, **inputs: Any) -> Any:
        if node.sees_graph:
            inputs |= {"prompt": cls.hidden.prompt, "unique_id": cls.hidden.unique_id}
        made = node.run(**inputs)
        return io.NodeOutput(*made.values, ui=made.ui or None)

    body: dict[str, Any] = {
        "define_schema": classmethod(define_schema),
        "execute": classmethod(execute),
    }
    if fingerprint := node.fingerprint:
        body["fingerprint_inputs"] = classmethod(lambda _, **inputs: fingerprint(**inputs))
    if needs := node.needs:
        body["check_lazy_status"] = classmethod(lambda _, **inputs: needs(**inputs))
    return type(node.id, (io.ComfyNode,), body)


class SafeGenExtension(ComfyExtension):  # type: ignore[misc]
    """What ComfyUI asks for the nodes."""

    async def get_node_list(self) -> list[type]:
        """All of them."""
        return [_class(node) for node in NODES]


async def comfy_entrypoint() -> SafeGenExtension:
    """Where ComfyUI begins."""
    return SafeGenExtension()
