"""The run directory: the only bridge from training to everything that comes after.

    run.json                 config, plan, versions, data fingerprint, results, checksums of the other files
    features.json + features.safetensors    fitted preprocessing
    model.safetensors        the delivered module: network, calibration, unfamiliarity score
    metrics.jsonl            one event a line; held locked by the process that trains
    decisions.jsonl          what was decided while training, which a resume goes by
    checkpoints/step-N/      see train/checkpoint.py
    floors.safetensors       the fitted floors
    predictions.parquet      validation and test rows, one by one
    examples.safetensors     some scored examples as the network sees them, for the report
    fixes.csv                what was changed in the view of the data that was learned from, if anything
    source/                  the user's own network, copied (never run without being told to)
    export/                  what was exported, for others; engram itself reads nothing there
    README.md  report.html

It holds no pickle and nothing that executes on load. Opening it reads every checksum again and refuses what is no
plain file, so that what is damaged or hostile is refused before torch is imported.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engram.core import durable, strict, tensors
from engram.core.durable import write_atomically
from engram.core.errors import RunError

if TYPE_CHECKING:
    import numpy as np

FIXES = "fixes.csv"
FORMAT = 2
"""Version of the run directory's format, written to run.json. 2: with checksums; 1 was never released."""

SEALED = frozenset(
    {"features.json", "features.safetensors", "model.safetensors", "floors.safetensors", "predictions.parquet"}
    | {"examples.safetensors", FIXES}
)
"""Files whose checksums are in run.json, beside those in source/."""

DECISIONS = "decisions.jsonl"

FILES = frozenset({*SEALED, "run.json", "metrics.jsonl", DECISIONS, "README.md", "report.html"})
FOLDERS = ("checkpoints", "source", "export")


class RunDirectory:
    """Paths, reading and writing of one run. Creating the object touches nothing on disk."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._made: list[Path] = []

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def __str__(self) -> str:
        return str(self.path)

    def create(self, *, exist_ok: bool = True) -> RunDirectory:
        """Make the folder; RunError if it holds something that is not ours to overwrite.

        exist_ok False raises FileExistsError for a folder that is there, so that two that ask at once get two.
        """
        self.check_free()
        new = [path for path in (self.path, *self.path.absolute().parents) if not path.exists()]
        try:
            for path in reversed(new):
                path.mkdir(exist_ok=exist_ok or path != self.path)
                durable.sync_folder(path.parent)
        except OSError as error:
            if isinstance(error, FileExistsError) and not exist_ok:
                raise
            raise RunError(
                f"expected a place where a folder for the run can be made; {self.path} is none ({error.strerror}). "
                "Name another with --out."
            ) from None
        self._made = new
        return self

    def check_free(self) -> None:
        """RunError if there is something at the run's path that is not ours to overwrite."""
        if self.path.is_file() or (self.path.is_dir() and any(self.path.iterdir()) and not self._unborn()):
            raise RunError(
                f"expected a new or empty folder for the run; {self.path} already holds something. "
                f"Name another with --out, or go on with it: engram train --resume {self.path}"
            )

    def _unborn(self) -> bool:
        """Whether the folder holds nothing but what a training leaves that was killed before it had a plan."""
        names = {"" if path.is_symlink() else path.name.removesuffix(".tmp") for path in self.path.iterdir()}
        return "metrics.jsonl" in names and not (self / "run.json").exists() and names <= {*FILES, *FOLDERS}

    def clear(self) -> None:
        """Remove what a training has written before run.json, which makes it a run."""
        for path in self.path.iterdir():
            if path.name.removesuffix(".tmp") in FOLDERS and path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name.removesuffix(".tmp") in FILES - {"metrics.jsonl"}:
                path.unlink()

    def size(self) -> int:
        """The bytes of all files in the folder."""
        return sum(path.lstat().st_size for path in self.path.rglob("*"))

    def take_away(self) -> None:
        """Remove the folders that `create` made, as far as they are empty."""
        for path in self._made:
            if any(path.iterdir()):
                return
            path.rmdir()

    @classmethod
    def open(cls, path: str | Path) -> RunDirectory:
        """Open a run that training has written; RunError where there is none, or where it is damaged or hostile.

        Every file that has a checksum is read, so that all that is read later is what training wrote.
        """
        run = cls(path)
        if not run.path.is_dir() or not (run / "run.json").exists():
            raise RunError(
                f"expected the folder of a trained run; got {path} ({run._why_none()}). "
                "Make one with: engram train DATA"
            )
        run._check_plain()
        for name, checksum in run.read_run().get("files", {}).items():
            run._check_sealed(name, checksum)
        return run

    def _why_none(self) -> str:
        if not self.path.is_dir():
            return "no such folder"
        begun = (self / "metrics.jsonl").exists()
        return "its training ended before it had a plan; start it again" if begun else "it has no run.json"

    def _check_plain(self) -> None:
        """RunError unless everything of the run's is a plain file or folder."""
        paths = [(self / name, name in FOLDERS) for name in (*FOLDERS, *FILES)]
        paths += [(Path(f"{path}.tmp"), False) for path, folder in paths if not folder]
        for path, folder in paths:
            with self._refusing(path):
                if strict.check_plain(path, folder=folder) and folder:
                    for inner in path.iterdir():
                        ejected = path.name == "export" and inner.is_dir()
                        strict.check_plain(inner, folder=path.name == "checkpoints" or ejected)

    def _check_sealed(self, name: str, checksum: Any) -> None:
        """RunError unless a file is there and is the one that training wrote."""
        with self._refusing(self / name):
            if strict.check_plain(self / name) is None:
                raise FileNotFoundError(name)
            if name.endswith(".safetensors"):
                tensors.header(self / name)
            if strict.digest(self / name) != checksum:
                raise ValueError("its checksum is not the one in run.json")

    @contextlib.contextmanager
    def _refusing(self, path: Path) -> Iterator[None]:
        """Within the block, what cannot be read as it should becomes a RunError that names the file."""
        try:
            yield
        except FileNotFoundError:
            name = path.relative_to(self.path)
            raise RunError(f"{self.path} is incomplete: {name} is missing. Resume or repeat the training.") from None
        except RunError:
            raise
        except (ValueError, OSError) as error:
            raise RunError(f"{path} is damaged ({error}). Resume or repeat the training.") from None

    def write(self, name: str, content: bytes) -> None:
        """Write a file of the run atomically."""
        write_atomically(self / name, content)

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file of the run atomically."""
        text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
        self.write(name, text.encode("utf-8", "backslashreplace"))

    def read_json(self, name: str) -> Any:
        """Read a JSON file of the run strictly; RunError names it if missing or damaged."""
        with self._refusing(self / name):
            return strict.read_json(self / name)

    def read_run(self) -> dict[str, Any]:
        """Read run.json and check its seal, its format version and the names of the files it speaks of."""
        with self._refusing(self / "run.json"):
            content = strict.read_plain(self / "run.json", most=strict.MOST_BYTES)
            try:
                facts = strict.unsealed(content)
            except ValueError:
                self._refuse_other_formats(strict.parse(content))
                raise
            self._refuse_other_formats(facts)
        files = facts.get("files", {})
        if not isinstance(files, dict) or not all(_is_ours(name) for name in files):
            raise RunError(f"{self / 'run.json'} is damaged: it names files that no run has. Repeat the training.")
        return facts

    def _refuse_other_formats(self, facts: Any) -> None:
        """RunError where another version of engram wrote run.json, which may seal it in another way or not at all."""
        if not isinstance(facts, dict) or type(facts.get("format")) is not int:
            raise ValueError("it does not say its format")
        if facts["format"] != FORMAT:
            newer = facts["format"] > FORMAT
            raise RunError(
                f"{self / 'run.json'} was written by {'a newer' if newer else 'an older'} engram. "
                + ("Update engram to open it." if newer else "Train again.")
            )

    def update_run(self, **fields: Any) -> None:
        """Set fields of run.json, keeping the others."""
        known = self.read_run() if (self / "run.json").exists() else {}
        self.write("run.json", strict.sealed({**known, "format": FORMAT, **fields}))

    def seal(self, **fields: Any) -> None:
        """Set fields of run.json, and record the checksum of every file that is to stay as it now is."""
        names = [name for name in SEALED if (self / name).exists()]
        names += [f"source/{path.name}" for path in (self / "source").glob("*")]
        self.update_run(**fields, files={name: strict.digest(self / name) for name in sorted(names)})

    def append_line(self, name: str, value: dict[str, Any]) -> None:
        """Add an object to a file of decisions, one a line with its checksum, and wait until it is on disk."""
        durable.append(self / name, strict.sealed_line(value))

    def write_lines(self, name: str, values: Iterable[dict[str, Any]]) -> None:
        """Write a file of decisions anew, atomically."""
        self.write(name, b"".join(map(strict.sealed_line, values)))

    def read_lines(self, name: str) -> list[dict[str, Any]]:
        """Read a file of decisions without a last line that a crash tore; none where there is no file."""
        with self._refusing(self / name):
            return strict.unsealed_lines(strict.read_plain(self / name)) if (self / name).exists() else []

    def write_arrays(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Write numpy arrays as safetensors, atomically."""
        import numpy as np
        from safetensors.numpy import save

        self.write(name, save({k: np.asarray(v, order="C") for k, v in arrays.items()}))

    def read_arrays(self, name: str) -> dict[str, np.ndarray]:
        """Read arrays written by `write_arrays`; RunError if missing or damaged."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        self.header(name)
        try:
            return dict(load_file(self / name))
        except SafetensorError as error:
            raise RunError(f"{self / name} is damaged ({error}). Resume or repeat the training.") from None

    def header(self, name: str) -> dict[str, tensors.Entry]:
        """Read what a file of tensors holds; RunError if it is missing, damaged or impossible."""
        with self._refusing(self / name):
            return tensors.header(self / name)


def _is_ours(name: str) -> bool:
    """Whether a file in run.json may be meant: one of ours, or one directly in source/."""
    folder, _, own = name.rpartition("/")
    return name in SEALED or (folder == "source" and own not in ("", ".", "..") and "\\" not in own)


def fresh(parent: Path, source: str) -> RunDirectory:
    """Make a run folder of its own, named after its data: runs/photos, then runs/photos-2."""
    stem = re.sub(r"[^\w.-]+", "-", Path(source).resolve().stem or "run").strip("-.") or "run"
    path, number = parent / stem, 2
    while True:
        if not path.exists():
            with contextlib.suppress(FileExistsError):
                return RunDirectory(path).create(exist_ok=False)
        path, number = parent / f"{stem}-{number}", number + 1
