"""What each node does: it takes what ComfyUI hands over, calls SafeGen, and hands on."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comfy_execution.graph_utils import ExecutionBlocker
from torch import Tensor

from safegen.adapters.comfyui.graph import edits, not_steered
from safegen.adapters.comfyui.marks import PREFIX, demand_place, pictures, write_marked
from safegen.adapters.comfyui.request import Assessed, home, load_policy
from safegen.adapters.comfyui.schema import Made
from safegen.adapters.comfyui.sites import model_digest
from safegen.adapters.comfyui.steer import steer
from safegen.arguments import as_path
from safegen.audit.ledger import find, verify
from safegen.audit.marking import MarkedElsewhere, Marker
from safegen.audit.marking.c2pa import C2paMarker, Format
from safegen.concepts.discovery.file import load_concepts
from safegen.concepts.discovery.spec import preset
from safegen.concepts.store import VectorStore, own_folder
from safegen.concepts.vector import ConceptVector, Method
from safegen.errors import MissingExtraError, SteeringError
from safegen.guard import Guard
from safegen.nouns import Context

if TYPE_CHECKING:
    from safegen.adapters.comfyui.audit import Again


def read_policy(policy: str, ledger: str, marker: Marker | None = None) -> Made:
    """Load Policy."""
    return Made((load_policy(policy, ledger, marker),))


def load_marker(certificates: str, key: str, format: Format, time_stamps: str = "") -> Made:
    """Load Marker."""
    files = {"certificates": certificates, "key": key}
    paths = [as_path(name, file).expanduser() for name, file in files.items()]
    return Made((C2paMarker(*paths, format=format, time_stamps=time_stamps or None),))


def marker_fingerprint(certificates: str, key: str) -> str:
    """Changes when one of the files does."""
    return str([Path(each).expanduser().stat().st_mtime_ns for each in (certificates, key)])


def marked_elsewhere() -> Made:
    """Marked Elsewhere."""
    return Made((MarkedElsewhere(),))


def guard_prompt(
    policy: Guard,
    text: str,
    images: int,
    seed: int,
    tenant: str = "",
    region: str = "",
    age_band: str = "",
) -> Made:
    """Guard Prompt."""
    context = Context(
        tenant=tenant,
        region=region,
        age_band=age_band,
        surface="comfyui",
        images=images,
        seed=seed,
    )
    scores, decision = policy.assess(text, context)
    assessed = Assessed(policy, text, context, scores, decision)
    # Silent: Audit Image puts the placeholder out, and nothing else may use the text.
    passed = ExecutionBlocker(None) if assessed.stopped else text
    told = json.dumps(decision.model_dump(mode="json"), indent=2)
    return Made((passed, decision.negative_prompt, assessed, told, assessed.stopped))


def steer_model(
    decision: Assessed,
    vectors: Mapping[str, ConceptVector],
    other_model: bool,
    model: Any = None,
) -> Made:
    """Steer Model."""
    if decision.stopped:
        return Made((ExecutionBlocker(None), decision))
    decision.guard.policy.require_concepts(vectors)
    interventions = decision.decision.interventions
    carried = replace(
        decision, model_digest=model_digest(model), vectors=vectors, other_model=other_model
    )
    if not any(interventions):
        return Made((model, carried))
    steered, steering = steer(model, vectors, interventions, other_model=other_model)
    return Made((steered, replace(carried, steering=steering)))


def load_vectors(vectors: str) -> Made:
    """Load Vectors."""
    store = VectorStore(vectors)
    return Made(({name: store[name] for name in store.names},))


def vectors_fingerprint(vectors: str) -> str:
    """Changes when a file of the folder does."""
    files = sorted(VectorStore(vectors).folder.glob("*.safetensors"))
    return str([(file.name, file.stat().st_mtime_ns) for file in files])


def concepts_fingerprint(concepts: str) -> str:
    """Changes when the file does."""
    return str(load_concepts(Path(concepts).expanduser()))


def discover_vectors(
    concepts: str, model: str, out: str, method: Method, budget: str, seed: int
) -> Made:
    """Discover Vectors."""
    try:
        from safegen.adapters.diffusers import load_pipeline
        from safegen.concepts.discovery.discover import discover
    except ImportError as error:
        raise MissingExtraError("diffusers", "diffusers", "Discover Vectors") from error
    import torch
    from comfy.model_management import throw_exception_if_processing_interrupted
    from comfy.utils import ProgressBar

    from safegen.concepts.discovery.run import Run
    from safegen.concepts.discovery.work import Workbench
    from safegen.reference import load_pipeline as load_reference

    work = preset(budget, method, seed)
    file = load_concepts(Path(concepts).expanduser())
    folder = own_folder(Path(out).expanduser() if out else home() / "vectors")
    run = Run(folder, file, model, method, work)
    bar = ProgressBar(len(run.units))

    def told(number: int, done: int, total: int, _: str) -> None:
        throw_exception_if_processing_interrupted()
        bar.update_absolute(number * total + done, len(run.units) * total)

    # ComfyUI runs nodes without gradients; tensors made so could not take part in learning.
    with torch.inference_mode(mode=False), torch.enable_grad():
        pipeline: Any = load_reference() if model == "reference" else load_pipeline(model)
        bench = Workbench(pipeline, folder=run.state, run=run.name)
        run.demand_as_asked(lambda: bench.digest)
        for number, unit in enumerate(run.units):
            bench.progress = partial(told, number)
            run.save(discover(bench, unit, method, work))
    run.end()
    store = VectorStore(folder)
    return Made(({name: store[name] for name in file.specs},))


def regenerate(**settings: Any) -> Made:
    """Regenerate."""
    return Made((_audit().Again(**settings),))


def audit_image(
    decision: Assessed,
    prompt: Mapping[str, Any],
    unique_id: str,
    images: Tensor | None = None,
    again: "Again | None" = None,
    filename_prefix: str = PREFIX,
) -> Made:
    """Audit Image."""
    why = _not_steered(decision, prompt, unique_id)
    shown, result = _audit().audit(decision, images, again, why, edited=edits(prompt, unique_id))
    files = write_marked(result.images, filename_prefix, result.record_id)
    report = {
        "outcome": result.outcome,
        "record": result.record_id,
        "policy": result.decision.policy_digest if result.decision else "",
        "steering": result.steering.model_dump(mode="json"),
        "images": [each.as_record().model_dump(mode="json") for each in result.images],
        "files": [file and str(Path(file["subfolder"], file["filename"])) for file in files],
    }
    ui = {"images": pictures(shown, files)}
    return Made((shown, json.dumps(report, indent=2), result.record_id), ui)


def _not_steered(decision: Assessed, graph: Mapping[str, Any], audit: str) -> str:
    """Why a decision to steer did not reach the images; empty: it did, or there was none."""
    if not any(decision.decision.interventions):
        return ""
    if decision.steering is None:
        return "no sampler ran with the MODEL that Steer Model put out"
    if why := not_steered(graph, audit):
        return why
    try:
        decision.steering.demand_effect(graph, audit)
    except SteeringError as error:
        return error.message
    return ""


def _audit() -> Any:
    """The module that needs diffusers, so that the other nodes load without it."""
    try:
        from safegen.adapters.comfyui import audit
    except ImportError as error:
        raise MissingExtraError("diffusers", "diffusers", "Audit Image") from error
    return audit


def _wanted(decision: Assessed, **lazy: Any) -> list[str]:
    """Where a prompt was stopped, nothing that leads to an image is even computed."""
    return [] if decision.stopped else [name for name, value in lazy.items() if value is None]


def model_wanted(decision: Assessed, model: Any = None, **_: Any) -> list[str]:
    """Steer Model needs no model where no image is made."""
    return _wanted(decision, model=model)


def images_wanted(decision: Assessed, filename_prefix: str = PREFIX, **inputs: Any) -> list[str]:
    """Nor does Audit Image need images.

    Raises:
        InputError: they will be marked, and the files could not be written.
    """
    if decision.decision.mark:
        demand_place(filename_prefix)
    lazy = {name: inputs[name] for name in ("images", "again") if name in inputs}
    return _wanted(decision, **lazy)


def always(**_: Any) -> float:
    """Not equal to itself: the node runs each time, so that each time is on record."""
    return float("nan")


def show_ledger(decision: Assessed, record_id: str = "") -> Made:
    """Ledger."""
    folder = decision.guard.ledger.folder
    told: dict[str, Any] = {"intact": True} | verify(folder).model_dump()
    if record_id:
        seq, record = find(folder, record_id)
        told["record"] = {"seq": seq} | record.model_dump(mode="json")
    text = json.dumps(told, indent=2)
    return Made((text,), {"text": (text,)})


def reference() -> Made:
    """Reference Model."""
    from safegen.adapters.comfyui.reference import reference_model

    return Made(reference_model())
