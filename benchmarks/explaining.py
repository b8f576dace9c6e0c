"""Whether explanations are to be believed, and strange inputs noticed: measured on runs of any task.

    python benchmarks/explaining.py RUN [RUN ...] [--number 40]
    python benchmarks/explaining.py RUN --strange FOLDER

Deletion: the mean over examples of what is left of the answer as parts are taken away, the most influential first; the
less, the better. "beats": by how much the explanations are below another order, with the 95 % interval; aimed at above
zero for random orders and plain gradients. Strange: the AUROC of unfamiliarity between examples that the run keeps and
the files of a folder, aimed at .95 for fashion_mnist shown mnist.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path

import engram
from engram.explain import deletion
from engram.explain.robustness import auroc, unfamiliarity
from engram.report.facts import gather
from engram.report.sections import reasons


def deleted(run: str, number: int) -> dict[str, object]:
    predictor = engram.load(run)
    facts = gather(predictor.run, seconds=None, predictor=predictor)
    curves = deletion.test(predictor, [item for _, item in reasons.items(facts)][:number])
    assert curves is not None, "this run's answers cannot be explained"
    areas = {name: round(float(curves.area(name).mean()), 4) for name in curves.found}
    beats = {name: [round(end, 4) for end in curves.against(name)] for name in areas if name != deletion.CHOSEN}
    return {
        "run": run,
        "task": predictor.task.name,
        "examples": len(curves.found[deletion.CHOSEN]),
        **areas,
        "beats": beats,
    }


def strange(run: str, folder: Path, number: int) -> dict[str, object]:
    predictor = engram.load(run)
    kept = gather(predictor.run, seconds=None, predictor=predictor)
    assert kept.kept is not None, "the run keeps examples"
    familiar = unfamiliarity(predictor, [kept.kept.values[place] for place in kept.even[:number]])
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    other = unfamiliarity(predictor, random.Random(0).sample(files, min(number, len(files))))
    assert familiar is not None and other is not None, "the run says how unfamiliar inputs are"
    return {
        "run": run,
        "strange": folder.name,
        "auroc": round(auroc(familiar, other), 4),
        "found": float((other > 1).mean()),
    }


def rows(arguments: argparse.Namespace) -> Iterator[dict[str, object]]:
    for run in arguments.runs:
        if arguments.strange is not None:
            yield strange(run, arguments.strange, arguments.number)
        else:
            yield deleted(run, arguments.number)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--number", type=int, default=40, help="of examples")
    parser.add_argument("--strange", type=Path, metavar="FOLDER", help="of files that are nothing the run knows")
    for row in rows(parser.parse_args()):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
