"""Features of the Inception network on which FID and KID are defined, by torch-fidelity."""

import hashlib
import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from safegen.audit.images import as_rgb
from safegen.errors import InputError, MissingExtraError

_FEATURES = "2048"


class Inception:
    """The network of the original FID code, with weights from a file of the user's."""

    def __init__(self, weights: Path, device: str = "cpu") -> None:
        """Load torch-fidelity's weights (pt_inception-2015-12-05-6726825d.pth) from a file.

        Raises:
            MissingExtraError: torch-fidelity is not installed.
            InputError: the file cannot be read, or holds no weights of this network.
        """
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        except ImportError as error:
            raise MissingExtraError("torch-fidelity", "evaluation", "Inception features") from error
        try:
            # torch-fidelity unpickles the file; what loads here holds nothing but tensors.
            torch.load(weights, weights_only=True, map_location="cpu")
            self._network = FeatureExtractorInceptionV3("inception", [_FEATURES], str(weights))
            self.digest = f"sha256:{hashlib.sha256(weights.read_bytes()).hexdigest()}"
        except (OSError, RuntimeError, pickle.UnpicklingError) as error:
            raise InputError(
                f"expected the weights of Inception in {weights}: {str(error).splitlines()[0]}",
                "give pt_inception-2015-12-05-6726825d.pth of torch-fidelity's releases",
            ) from error
        self._network.to(device)
        self._device = device

    @torch.no_grad()
    def __call__(self, images: Sequence[Image.Image]) -> NDArray[np.float64]:
        """Features [N, 2048]; the network scales images of any size by itself."""
        rows = []
        for image in images:
            pixels = torch.from_numpy(np.array(as_rgb(image))).permute(2, 0, 1)[None]
            rows.append(self._network(pixels.to(self._device))[0].cpu())
        found: NDArray[np.float64] = torch.cat(rows).double().numpy()
        return found
