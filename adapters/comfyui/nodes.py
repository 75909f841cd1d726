"""The nodes as users of ComfyUI see them: names, inputs, outputs, tooltips."""

from typing import get_args

import comfy.samplers

from safegen.adapters.comfyui.actions import (
    always,
    audit_image,
    concepts_fingerprint,
    discover_vectors,
    guard_prompt,
    images_wanted,
    load_marker,
    load_vectors,
    marked_elsewhere,
    marker_fingerprint,
    model_wanted,
    read_policy,
    reference,
    regenerate,
    show_ledger,
    steer_model,
    vectors_fingerprint,
)
from safegen.adapters.comfyui.marks import PREFIX
from safegen.adapters.comfyui.request import fingerprint
from safegen.adapters.comfyui.schema import Input, Node, Output
from safegen.audit.marking.c2pa import Format
from safegen.concepts.discovery.spec import PRESETS
from safegen.concepts.vector import Method
from safegen.nouns import LARGEST_SEED, LARGEST_TRAINING_SEED

_POLICY, _DECISION = "SAFEGEN_POLICY", "SAFEGEN_DECISION"
_VECTORS, _AGAIN = "SAFEGEN_VECTORS", "SAFEGEN_AGAIN"
_MARKER = "SAFEGEN_MARKER"
_DECIDED = Input(
    "decision", _DECISION, "What the policy decided: from Guard Prompt or Steer Model."
)
_METHOD: Method = "score-matching"
_FORMAT: Format = "png"
NODES = (
    Node(
        "SafeGenLoadPolicy",
        "Load Policy",
        "A policy, the detectors it names and its ledger. Read again when it changes.",
        (
            Input(
                "policy",
                "STRING",
                "A policy's YAML file on the server, or the name of a shipped pack.",
                {"default": "default"},
            ),
            Input(
                "ledger",
                "STRING",
                "Folder of the audit ledger on the server. Empty: user/__safegen/ledger.",
                {"default": ""},
            ),
            Input(
                "marker",
                _MARKER,
                "From Load Marker or Marked Elsewhere, for a policy that wants images marked as "
                "generated.",
                optional=True,
            ),
        ),
        (Output(_POLICY, "policy", "For Guard Prompt."),),
        read_policy,
        fingerprint=lambda policy, **_: fingerprint(policy),
    ),
    Node(
        "SafeGenLoadMarker",
        "Load Marker",
        "Marks images as generated, by C2PA, where the policy wants that. Audit Image then writes "
        "the marked files.",
        (
            Input(
                "certificates",
                "STRING",
                "PEM file on the server: the signing certificate, then those that vouch for it.",
            ),
            Input(
                "key",
                "STRING",
                "PEM file on the server: the certificate's private key, without a password. Keep "
                "it out of ComfyUI's output, input and temp folders.",
            ),
            Input("format", get_args(Format), "Of the marked files.", {"default": _FORMAT}),
            Input(
                "time_stamps",
                "STRING",
                "URL of an authority for time stamps, so that marks stay valid longer than the "
                "certificate. Empty: none.",
                {"default": ""},
                optional=True,
            ),
        ),
        (Output(_MARKER, "marker", "For Load Policy."),),
        load_marker,
        fingerprint=lambda certificates, key, **_: marker_fingerprint(certificates, key),
    ),
    Node(
        "SafeGenMarkedElsewhere",
        "Marked Elsewhere",
        "Says that something behind ComfyUI marks the images; so does the record. No marked files "
        "are written.",
        (),
        (Output(_MARKER, "marker", "For Load Policy."),),
        marked_elsewhere,
    ),
    Node(
        "SafeGenGuardPrompt",
        "Guard Prompt",
        "What the policy says of a prompt. A blocked prompt goes no further: nothing is sampled, "
        "and Audit Image gives a placeholder.",
        (
            Input("policy", _POLICY, "From Load Policy."),
            Input("text", "STRING", "The prompt, unaltered.", {"multiline": True, "default": ""}),
            Input(
                "images",
                "INT",
                "How many images are made of it: the batch size of the latents.",
                {"default": 1, "min": 1, "max": 4096},
            ),
            Input(
                "seed",
                "INT",
                "Decides every random draw of the policy, such as who is shown as what.",
                {"default": 0, "min": 0, "max": LARGEST_SEED, "control_after_generate": True},
            ),
            *(
                Input(name, "STRING", tip, {"default": ""}, optional=True)
                for name, tip in (
                    ("tenant", "Who asks; rules see it as request.tenant."),
                    ("region", "Where from; rules see it as request.region."),
                    ("age_band", "How old the user is; rules see it as request.age_band."),
                )
            ),
        ),
        (
            Output("STRING", "text", "The prompt, for the positive conditioning."),
            Output("STRING", "negative", "What the policy adds to the negative conditioning."),
            Output(_DECISION, "decision", "For Steer Model and Audit Image."),
            Output("STRING", "report", "The decision as JSON."),
            Output("BOOLEAN", "blocked", "Whether the prompt goes no further."),
        ),
        guard_prompt,
    ),
    Node(
        "SafeGenLoadVectors",
        "Load Vectors",
        "Concept vectors from a folder.",
        (
            Input(
                "vectors",
                "STRING",
                "A folder of concept vectors on the server, or the name of a shipped set.",
                {"default": "reference"},
            ),
        ),
        (Output(_VECTORS, "vectors", "For Steer Model."),),
        load_vectors,
        fingerprint=vectors_fingerprint,
    ),
    Node(
        "SafeGenDiscoverVectors",
        "Discover Vectors",
        "Learns concept vectors from words, in diffusers, on the weights that the graph samples "
        "with. Those already in the folder are kept.",
        (
            Input("concepts", "STRING", "YAML file on the server that declares the concepts."),
            Input(
                "model",
                "STRING",
                "The same weights in diffusers' layout: a folder, a hub name, or reference.",
                {"default": "reference"},
            ),
            Input("out", "STRING", "Folder for the vectors. Empty: user/__safegen/vectors."),
            Input("method", get_args(Method), "How they are learned.", {"default": _METHOD}),
            Input("budget", tuple(PRESETS), "How much work is done.", {"default": "standard"}),
            Input(
                "seed",
                "INT",
                "Decides everything random.",
                {"default": 0, "max": LARGEST_TRAINING_SEED},
            ),
        ),
        (Output(_VECTORS, "vectors", "For Steer Model."),),
        discover_vectors,
        fingerprint=lambda concepts, **_: concepts_fingerprint(concepts),
    ),
    Node(
        "SafeGenSteerModel",
        "Steer Model",
        "The model, steered as the policy decided: the last node before the sampler. Without "
        "anything to steer, it is the model that came in.",
        (
            Input("model", "MODEL", "The model, with its LoRAs and other patches.", lazy=True),
            _DECIDED,
            Input("vectors", _VECTORS, "From Load Vectors or Discover Vectors."),
            Input(
                "other_model",
                "BOOLEAN",
                "Accept vectors that were learned on other weights. Measure the effect yourself.",
                {"default": False},
            ),
        ),
        (
            Output("MODEL", "model", "For the sampler."),
            Output(_DECISION, "decision", "For Audit Image: it says what was steered."),
        ),
        steer_model,
        needs=model_wanted,
    ),
    Node(
        "SafeGenRegenerate",
        "Regenerate",
        "How to make a flagged image anew. Without it, the ladder's `regenerate` is left out.",
        (
            Input("model", "MODEL", "The model that goes into Steer Model, not what comes out."),
            Input("positive", "CONDITIONING", "As in the sampler."),
            Input("negative", "CONDITIONING", "As in the sampler."),
            Input("latent", "LATENT", "As in the sampler; all of a batch must be alike."),
            Input("vae", "VAE", "As in VAE Decode."),
            Input("steps", "INT", "As in the sampler.", {"default": 20, "min": 1, "max": 10000}),
            Input("cfg", "FLOAT", "As in the sampler.", {"default": 8.0, "min": 0.0, "max": 100.0}),
            Input("sampler_name", tuple(comfy.samplers.KSampler.SAMPLERS), "As in the sampler."),
            Input("scheduler", tuple(comfy.samplers.KSampler.SCHEDULERS), "As in the sampler."),
            Input(
                "denoise",
                "FLOAT",
                "As in the sampler.",
                {"default": 1.0, "min": 0.0, "max": 1.0, "step": 0.01},
            ),
        ),
        (Output(_AGAIN, "again", "For Audit Image."),),
        regenerate,
    ),
    Node(
        "SafeGenAuditImage",
        "Audit Image",
        "Detectors look at every image, the policy's ladder is climbed, and a record is written "
        "before any image comes out. Where the policy marks, the marked files are written to the "
        "output folder. Runs each time.",
        (
            _DECIDED,
            Input("images", "IMAGE", "From VAE Decode; not asked for if blocked.", lazy=True),
            Input(
                "again",
                _AGAIN,
                "From Regenerate, to make flagged images anew.",
                optional=True,
                lazy=True,
            ),
            Input(
                "filename_prefix",
                "STRING",
                "Of marked files, as in Save Image. None is written where nothing is marked.",
                {"default": PREFIX},
                optional=True,
            ),
        ),
        (
            Output("IMAGE", "images", "Without marks. Placeholders stand where one is withheld."),
            Output("STRING", "report", "What became of each image, as JSON."),
            Output("STRING", "record_id", "The record in the ledger."),
        ),
        audit_image,
        output_node=True,
        sees_graph=True,
        fingerprint=always,
        needs=images_wanted,
    ),
    Node(
        "SafeGenLedger",
        "Ledger",
        "Verifies the whole ledger, and shows a record.",
        (
            _DECIDED,
            Input(
                "record_id",
                "STRING",
                "From Audit Image.",
                {"forceInput": True},
                optional=True,
            ),
        ),
        (Output("STRING", "report", "As JSON."),),
        show_ledger,
        output_node=True,
        fingerprint=always,
    ),
    Node(
        "SafeGenReferenceModel",
        "Reference Model",
        "SafeGen's own small model, 64x64 px, which comes with it: to try the nodes without any "
        "download.",
        (),
        (
            Output("MODEL", "model", "The UNet."),
            Output("CLIP", "clip", "The text encoder."),
            Output("VAE", "vae", "The autoencoder."),
        ),
        reference,
    ),
)
