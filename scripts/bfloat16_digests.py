"""Write into vectors' passports which digest their model has in bfloat16; values stay as they are.

    python scripts/bfloat16_digests.py FOLDER MODEL

For vectors that were learned before passports held it. MODEL is what they were learned on, in the
precision in which it was published; those of other models in the folder are left alone.
"""

import sys
from dataclasses import replace
from pathlib import Path

import torch

from safegen.adapters.denoisers import find_denoiser
from safegen.concepts.digest import model_digest
from safegen.concepts.vector import load_vector, save_vector
from safegen.reference import open_pipeline


def main(folder: Path, model: str) -> None:
    """Rewrite every vector of the model in the folder."""
    denoiser = find_denoiser(open_pipeline(model))
    digest, in_bfloat16 = (model_digest(denoiser, p) for p in (torch.float16, torch.bfloat16))
    for path in sorted(folder.glob("*.safetensors")):
        vector = load_vector(path)
        if vector.passport.model_digest != digest:
            print(f"{path.name}: of another model, left alone")
            continue
        passport = vector.passport.model_copy(update={"model_digest_bfloat16": in_bfloat16})
        save_vector(replace(vector, passport=passport), path)
        print(f"{path.name}: {in_bfloat16}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
