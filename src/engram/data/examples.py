"""Examples: fitted features over stored values, and the batches that training and answering take from them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from engram.core.task import Batch

if TYPE_CHECKING:
    from torch import Tensor

    from engram.data.store import Stored
    from engram.features.feature import Feature


@dataclass
class Examples:
    """All examples of a data set, by role.

    features: role -> fitted feature. stored: role -> its values for every row of the table (a role whose
    values are unknown, such as the label of new pictures, is left out). splits: "train"/"val"/"test" -> rows.
    importance: how much each row counts in the loss; None for all the same. continues: whether a row goes on where
    the one before it ends, as pieces of a running text do; None where none does.
    """

    features: Mapping[str, Feature]
    stored: Mapping[str, Stored]
    splits: dict[str, np.ndarray] = field(default_factory=dict)
    importance: np.ndarray | None = None
    continues: np.ndarray | None = None

    def batch(
        self,
        rows: np.ndarray,
        *,
        roles: Sequence[str] = (),
        augmentation: Any = None,
        seed: int = 0,
        epoch: np.ndarray | int = 0,
    ) -> Batch:
        """Gather and encode some rows of some roles (none named: all). An augmentation gives each a random view.

        The views depend on (seed, epoch, rows) alone, never on what was drawn before. Examples that are no rows of the
        table know neither roles nor augmentations.
        """
        rows = np.asarray(rows)
        found = self.made(rows, seed=seed, epoch=np.broadcast_to(np.asarray(epoch), rows.shape))
        if found is None:
            found = self._encoded(rows, roles or list(self.stored), augmentation, seed=seed, epoch=epoch)
        return Batch(rows=rows, importance=self._importance(rows), **found)

    def made(self, rows: np.ndarray, *, seed: int, epoch: np.ndarray) -> dict[str, Any] | None:
        """Make what a batch holds, where examples are no rows of the table, such as windows; None where they are.

        epoch: (B,), which one each example is taken in. What is drawn is a function of (seed, epoch, rows).
        """
        return None

    def _encoded(
        self, rows: np.ndarray, roles: Sequence[str], augmentation: Any, *, seed: int, epoch: np.ndarray | int
    ) -> dict[str, Any]:
        gathered = {role: self.stored[role].gather(rows) for role in roles}
        views = None
        if augmentation is not None:
            views = augmentation.views(gathered, rows=rows, seed=seed, epoch=epoch)
        encoded: dict[str, Any] = {r: self.features[r].encode(values, views) for r, values in gathered.items()}
        if augmentation is not None:
            encoded = augmentation.change(encoded, rows=rows, seed=seed, epoch=epoch)
        return encoded

    def _importance(self, rows: np.ndarray) -> Tensor:
        import torch

        return torch.ones(len(rows)) if self.importance is None else torch.from_numpy(self.importance[rows]).float()

    def identity(self, rows: np.ndarray) -> np.ndarray:
        """What each example is scored on, uint8 (B, 16): the same in every run that asks the same."""
        return digests(*(stored.digest[rows] for stored in self.stored.values()))

    @property
    def together(self) -> int:
        """How many neighbouring rows overlap in what they are scored by."""
        return 1

    @property
    def at_once(self) -> int | None:
        """How many are answered together at most, so that answers have room; None where that does not matter."""
        return None

    def num_values(self) -> int:
        """How many numbers the network sees of one example; 1 where that is not known."""
        return sum(int(np.prod(f.shape)) for f in self.features.values() if hasattr(f, "shape")) or 1

    def lengths(self, rows: np.ndarray) -> np.ndarray | None:
        """How long examples are (B,), over all roles, as networks see them; None where all are alike."""
        found = [self.features[role].lengths(stored, rows) for role, stored in self.stored.items()]
        known = [lengths for lengths in found if lengths is not None]
        return np.sum(known, axis=0) if known else None

    def sorted(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows by length, so that batches of them hold little padding, and the places that undo it."""
        lengths = self.lengths(rows)
        order = np.arange(len(rows)) if lengths is None else np.argsort(lengths, kind="stable")
        return rows[order], np.argsort(order)

    def learned_and_chosen_by(self) -> np.ndarray:
        """Training and validation examples together, from which what has nothing left to be chosen is fitted again."""
        return np.concatenate([self.splits["train"], self.splits["val"]])

    def batches(self, rows: np.ndarray, *, size: int, roles: Sequence[str] = ()) -> Iterator[Batch]:
        """Go once over some rows in their order, as they are (no augmentation)."""
        for start in range(0, len(rows), size):
            yield self.batch(rows[start : start + size], roles=roles)


def digests(*values: np.ndarray) -> np.ndarray:
    """Return digests (B, 16) of the B entries of some arrays together."""
    entries = zip(*(np.ascontiguousarray(value) for value in values), strict=True)
    found = [hashlib.blake2b(b"".join(part.tobytes() for part in entry), digest_size=16).digest() for entry in entries]
    return np.frombuffer(b"".join(found), np.uint8).reshape(-1, 16)


def namespace(features: Mapping[str, Feature]) -> Any:
    """Features by role as attributes (`features.image.shape`), as tasks read them."""
    from types import SimpleNamespace

    return SimpleNamespace(**features)
