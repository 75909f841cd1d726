"""SafeGen's nodes for ComfyUI: this folder goes into `custom_nodes`, the code is in SafeGen."""

import importlib.util

# With both in one module, ComfyUI would take the older ones.
if importlib.util.find_spec("comfy_api") and importlib.util.find_spec("comfy_api.latest"):
    from safegen.adapters.comfyui.v3 import comfy_entrypoint

    __all__ = ["comfy_entrypoint"]
else:
    from safegen.adapters.comfyui.v1 import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

    __all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
