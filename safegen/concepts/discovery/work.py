"""`Workbench`: what the concepts of one pass share, and what survives an interruption."""

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from safegen.concepts.digest import model_digest, own_settings, weights_digest
from safegen.concepts.discovery.spec import Progress
from safegen.errors import OutputError, UnknownModelError


@dataclass
class Workbench:
    """A pipeline at work: its text embeddings, finished pieces of work, and where they are kept.

    Pieces are kept under a name that says all they depend on, in memory and, with a `folder`, on
    disk, so that a run that was killed goes on where it was. Which pieces a run needs is kept
    beside them under the name of the `run`, for `clear_state`.
    """

    pipeline: Any
    progress: Progress = lambda *_: None
    folder: Path | None = None
    run: str = ""
    _texts: dict[str, Tensor] = field(default_factory=dict)
    _pieces: dict[str, dict[str, Any]] = field(default_factory=dict)
    _noted: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Freeze the model, if it is a Stable Diffusion 1.x or 2.x pipeline.

        Raises:
            UnknownModelError: the pipeline has no such UNet, tokenizer or text encoder.
        """
        parts = [
            getattr(self.pipeline, name, None) for name in ("unet", "text_encoder", "tokenizer")
        ]
        if None in parts or getattr(self.pipeline, "text_encoder_2", None) is not None:
            raise UnknownModelError(
                f"discovery cannot learn on {type(self.pipeline).__name__}",
                "expected a pipeline with a UNet, one text encoder and its tokenizer, such as "
                "Stable Diffusion 1.x or 2.x",
            )
        for part in (self.pipeline.unet, self.pipeline.text_encoder):
            part.requires_grad_(False).eval()  # dropout would make another vector of each run

    @cached_property
    def digest(self) -> str:
        """That of the denoiser's weights."""
        return model_digest(self.pipeline.unet)

    @cached_property
    def digest_bfloat16(self) -> str:
        """The one that they have in bfloat16."""
        return model_digest(self.pipeline.unet, torch.bfloat16)

    @cached_property
    def identity(self) -> dict[str, object]:
        """All of the pipeline and the machine that decides what a piece of work comes out as."""
        unet, scheduler = self.pipeline.unet, self.pipeline.scheduler
        tokenizer, encoder = self.pipeline.tokenizer, self.pipeline.text_encoder
        # The digest of the denoiser leaves out LoRA weights, which change what it predicts.
        lora = {name: value for name, value in unet.state_dict().items() if ".lora_" in name}
        return {
            "unet": [self.digest, weights_digest(lora), own_settings(unet.config), str(unet.dtype)],
            "text": [weights_digest(encoder.state_dict()), str(encoder.dtype)],
            "tokens": [type(tokenizer).__name__, tokenizer.model_max_length, tokenizer.get_vocab()],
            "scheduler": [type(scheduler).__name__, own_settings(scheduler.config)],
            "machine": [self.device.type, torch.backends.cpu.get_cpu_capability()],
            "torch": torch.__version__,
        }

    @cached_property
    def _identified(self) -> str:
        told = json.dumps(self.identity, default=str, sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()

    @cached_property
    def device(self) -> torch.device:
        """Where the model is."""
        device: torch.device = self.pipeline.unet.device
        return device

    @torch.no_grad()
    def text(self, prompts: Sequence[str]) -> Tensor:
        """Text embeddings [B, L, D], padded as at inference; every prompt is encoded once."""
        new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._texts]
        # One by one: what a prompt's embedding is must not depend on what is encoded beside it.
        for prompt in new:
            tokens = self.pipeline.tokenizer(
                [prompt],
                padding="max_length",
                max_length=self.pipeline.tokenizer.model_max_length,
                truncation=True,
                return_tensors="pt",
            ).input_ids.to(self.device)
            self._texts[prompt] = self.pipeline.text_encoder(tokens)[0][0]
        return torch.stack([self._texts[prompt] for prompt in prompts])

    def name(self, what: str, *depends_on: object) -> str:
        """A name for a piece of work: the same for the same pipeline and the same `depends_on`."""
        told = json.dumps([self._identified, *depends_on], default=str)
        return f"{what}-{hashlib.sha256(told.encode()).hexdigest()[:16]}"

    def piece(
        self, name: str, make: Callable[[], dict[str, Any]], *, remember: bool = True
    ) -> dict[str, Any]:
        """The finished piece called `name`: from memory, from disk, or made and kept now."""
        if name not in self._pieces:
            done = self.load(name) or make()
            self.save(name, done)
            if not remember:
                return done
            self._pieces[name] = done
        return self._pieces[name]

    def load(self, name: str) -> dict[str, Any] | None:
        """What was saved as `name`; None: nothing that can be read."""
        path = self.folder and self.folder / f"{name}.pt"
        if path is None or not path.exists():
            return None
        self._note(name)
        try:
            saved: dict[str, Any] = torch.load(path, weights_only=True)
        except Exception:  # noqa: BLE001 - torch raises whatever its readers do; it is made again
            return None
        return saved

    def save(self, name: str, state: Mapping[str, Any]) -> None:
        """Keep `state`, whole or not at all.

        Raises:
            OutputError: the folder cannot be written.
        """
        if self.folder is None:
            return
        data = io.BytesIO()  # torch's own writer makes a RuntimeError of a full disk
        torch.save(dict(state), data)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._note(name)
            handle, part = tempfile.mkstemp(prefix=f"{name}.", suffix=".part", dir=self.folder)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data.getbuffer())
                # Gone is what a run beside this one, of the same pieces, has just cleared: no harm.
                with suppress(FileNotFoundError):
                    Path(part).replace(self.folder / f"{name}.pt")
            finally:
                Path(part).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot keep the state of the work in {self.folder}: {error.strerror}",
                "choose a folder you can write to with --out",
            ) from error

    def _note(self, name: str) -> None:
        """Say that this run needs the piece, before it is there."""
        if self.folder is not None and self.run and name not in self._noted:
            with (self.folder / f"{self.run}{_NOTES}").open("a") as file:
                file.write(f"{name}\n")
            self._noted.add(name)


_NOTES = ".run"


def run_name(*decided_by: object) -> str:
    """The name of a run: the same when the same command is given again."""
    return hashlib.sha256(json.dumps(decided_by, default=str).encode()).hexdigest()[:16]


def clear_state(folder: Path, run: str) -> None:
    """Remove the pieces of a run that has ended, but those that another one has noted."""
    notes = {path.stem: {*path.read_text().split()} for path in folder.glob(f"*{_NOTES}")}
    own = notes.pop(run, set())
    # What cannot be removed, such as a file that another process has open, does no harm.
    with suppress(OSError):
        for name in own.difference(*notes.values()):
            for path in folder.glob(f"{name}.*"):
                path.unlink(missing_ok=True)
        (folder / f"{run}{_NOTES}").unlink(missing_ok=True)
        folder.rmdir()  # as long as nothing else is in it
