"""The run directory: the only bridge from training to everything that comes after.

    run.json                 config, plan, versions, data fingerprint, results
    features.json + features.safetensors    fitted preprocessing
    model.safetensors        the delivered module: network, calibration, unfamiliarity score
    metrics.jsonl            one event a line
    pace.jsonl               changes of the number of steps, which a resume takes again
    checkpoints/step-N/      see train/checkpoint.py
    floors.safetensors       the fitted floors
    predictions.parquet      validation and test rows, one by one
    examples.safetensors     some scored examples as the network sees them, for the report
    fixes.csv                what was changed in the view of the data that was learned from, if anything
    source/                  the user's own network, copied (never run without being told to)
    README.md  report.html

It holds no pickle and nothing that executes on load.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engram.core.errors import RunError

if TYPE_CHECKING:
    import numpy as np

FIXES = "fixes.csv"
FORMAT = 1
"""Version of the run directory's format, written to run.json; readers accept this and older ones."""


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a crash leaves either the old content or the new, never half of it."""
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


class RunDirectory:
    """Paths, reading and writing of one run. Creating the object touches nothing on disk."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._made: list[Path] = []

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def __str__(self) -> str:
        return str(self.path)

    def create(self) -> RunDirectory:
        """Make the folder; RunError if it holds something that is not ours to overwrite."""
        if self.path.is_file() or (self.path.is_dir() and any(self.path.iterdir())):
            raise RunError(
                f"expected a new or empty folder for the run; {self.path} already holds something. "
                f"Name another with --out, or go on with it: engram train --resume {self.path}"
            )
        new = [path for path in (self.path, *self.path.parents) if not path.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(
                f"expected a place where a folder for the run can be made; {self.path} is none ({error.strerror}). "
                "Name another with --out."
            ) from None
        self._made = new
        return self

    def take_away(self) -> None:
        """Remove the folders that `create` made, as far as they are empty."""
        for path in self._made:
            if any(path.iterdir()):
                return
            path.rmdir()

    @classmethod
    def open(cls, path: str | Path) -> RunDirectory:
        """Open a run that training has written; RunError where there is none."""
        run = cls(path)
        if not (run / "run.json").is_file():
            what = "no such folder" if not run.path.exists() else "it has no run.json"
            raise RunError(
                f"expected the folder of a trained run; got {path} ({what}). Make one with: engram train DATA"
            )
        return run

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file of the run atomically."""
        write_atomically(
            self / name, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
        )

    def read_json(self, name: str) -> Any:
        """Read a JSON file of the run; RunError names it if missing or damaged."""
        try:
            return json.loads((self / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RunError(f"{self.path} is incomplete: {name} is missing. Resume or repeat the training.") from None
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RunError(f"{self / name} is damaged ({error}). Resume or repeat the training.") from None

    def read_run(self) -> dict[str, Any]:
        """Read run.json and check its format version."""
        content = self.read_json("run.json")
        if not isinstance(content, dict) or not isinstance(content.get("format"), int):
            raise RunError(f"{self / 'run.json'} is damaged: it does not say its format. Repeat the training.")
        if not 1 <= content["format"] <= FORMAT:
            raise RunError(f"{self / 'run.json'} was written by a newer engram. Update engram to open it.")
        return content

    def update_run(self, **fields: Any) -> None:
        """Set fields of run.json, keeping the others."""
        known = self.read_json("run.json") if (self / "run.json").is_file() else {"format": FORMAT}
        self.write_json("run.json", {**known, **fields})

    def write_lines(self, name: str, values: Iterable[Any]) -> None:
        """Write values as JSON, one a line, atomically."""
        write_atomically(self / name, "".join(json.dumps(value) + "\n" for value in values).encode())

    def read_lines(self, name: str) -> list[dict[str, Any]]:
        """Read the objects of a file of JSON lines, without a line that a crash tore; none where there is no file."""
        found = []
        if (self / name).exists():
            for line in (self / name).read_text(encoding="utf-8", errors="replace").split("\n"):
                with contextlib.suppress(json.JSONDecodeError):
                    found.append(json.loads(line))
        return [value for value in found if isinstance(value, dict)]

    def write_arrays(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Write numpy arrays as safetensors, atomically."""
        import numpy as np
        from safetensors.numpy import save

        write_atomically(self / name, save({k: np.asarray(v, order="C") for k, v in arrays.items()}))

    def read_arrays(self, name: str) -> dict[str, np.ndarray]:
        """Read arrays written by `write_arrays`; RunError if missing or damaged."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            return dict(load_file(self / name))
        except FileNotFoundError:
            raise RunError(f"{self.path} is incomplete: {name} is missing. Resume or repeat the training.") from None
        except SafetensorError as error:
            raise RunError(f"{self / name} is damaged ({error}). Resume or repeat the training.") from None


def fresh(parent: Path, source: str) -> Path:
    """Return a run folder that does not exist yet, named after its data: runs/photos, then runs/photos-2."""
    stem = re.sub(r"[^\w.-]+", "-", Path(source).resolve().stem or "run").strip("-.") or "run"
    path, number = parent / stem, 2
    while path.exists():
        path, number = parent / f"{stem}-{number}", number + 1
    return path
