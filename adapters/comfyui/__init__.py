"""SafeGen as nodes of ComfyUI. docs/comfyui.md says how to use them.

`steer` puts a plan on a MODEL, `audit` takes its images through the guard, `nodes` is what users
see; `v1` and `v3` give the same nodes to older and newer versions of ComfyUI.
"""
