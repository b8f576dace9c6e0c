"""A table and a picture from the lines of `compare_peers.py`, the newest of each measurement.

    python summarise.py peers.csv DATA TARGET

writes peers-DATA.md and peers-DATA.svg beside peers.csv.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from pathlib import Path

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "engram"  # the same lines give the same file
from matplotlib import pyplot  # noqa: E402

INFINITE = float("inf")
Line = dict[str, str]
Training = list[tuple[float, float]]
"""(seconds, accuracy) in the order in which they were reached."""

TICKS = (2, 5, 10, 20, 30, 60, 120, 180, 300, 600)


def newest(path: Path, data: str) -> list[Line]:
    """The lines of each measurement's last run."""
    with open(path, newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["data"] == data]
    dates: dict[tuple[str, ...], str] = {}
    for line in lines:
        dates[_measurement(line)] = max(line["date"], dates.get(_measurement(line), ""))
    return [line for line in lines if line["date"] == dates[_measurement(line)]]


def _measurement(line: Line) -> tuple[str, ...]:
    return tuple(line[name] for name in ("peer", "setting", "length", "seed"))


def trainings(lines: list[Line]) -> dict[tuple[str, str], list[Training]]:
    """(peer, setting) -> its trainings. engram's whole commands, one point each, count as one."""
    found: dict[tuple[str, str], dict[str, Training]] = defaultdict(lambda: defaultdict(list))
    for line in lines:
        if line["measure"] == "quality":
            which = line["seed"] if line["setting"] == "command" else f"{line['length']} {line['seed']}"
            found[line["peer"], line["setting"]][which].append((float(line["seconds"]), float(line["value"])))
    return {key: [sorted(training) for training in several.values()] for key, several in found.items()}


def seconds_to(target: float, several: list[Training]) -> float:
    """The fewest seconds after which any training had reached the target; infinity if none did."""
    return min((s for training in several for s, value in training if value >= target), default=INFINITE)


def table(lines: list[Line], target: float) -> str:
    """One row for each peer and setting."""
    learned = trainings(lines)
    speeds = {(line["peer"], line["setting"]): line["value"] for line in lines if line["measure"] == "throughput"}
    text = [
        f"| peer | setting | seconds to {_percent(target)} | best accuracy, in seconds | same network, examples/s |",
        "|---|---|---|---|---|",
    ]
    for key in dict.fromkeys((line["peer"], line["setting"]) for line in lines):
        several = learned.get(key, [])
        reached = seconds_to(target, several)
        value, seconds = max(((v, -s) for training in several for s, v in training), default=(0.0, 0.0))
        best = f"{_percent(value)}, {-seconds:.0f} s"
        cells = [*key, *((_seconds(reached), best) if several else ("", "")), speeds.get(key, "")]
        text.append(f"| {' | '.join(cells)} |")
    return "\n".join(text)


def verdict(lines: list[Line], target: float) -> str:
    """engram against the best of the others, in two sentences."""
    learned = trainings(lines)
    ours = seconds_to(target, learned.get(("engram", "command"), []))
    others = {", ".join(key): seconds_to(target, several) for key, several in learned.items() if key[0] != "engram"}
    best = min(others, key=lambda name: others[name], default="none measured")
    speeds = {
        f"{line['peer']}, {line['setting']}": float(line["value"]) for line in lines if line["measure"] == "throughput"
    }
    own = speeds.get("engram, engine", float("nan"))
    ratios = "; ".join(f"{own / speed:.2f} × {name}" for name, speed in speeds.items() if name != "engram, engine")
    return (
        f"Seconds to {_percent(target)}: engram {_seconds(ours)}; the best peer ({best}) "
        f"{_seconds(others.get(best, INFINITE))}.\n\nThroughput of the same network: engram's engine reaches {ratios}."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def _seconds(seconds: float) -> str:
    return "not reached" if seconds == INFINITE else f"{seconds:.0f}"


def draw(lines: list[Line], target: float, out: Path) -> None:
    """One line a training; those of one peer and setting share colour and dashes."""
    figure, axes = pyplot.subplots(figsize=(9, 6))
    learned = trainings(lines)
    peers = list(dict.fromkeys(peer for peer, _ in learned if peer != "engram"))
    settings = {peer: [s for p, s in learned if p == peer] for peer in peers}
    for (peer, setting), several in learned.items():
        ours = peer == "engram"
        colour = "black" if ours else f"C{peers.index(peer)}"
        dashes = "-" if ours else ("--", "-", ":")[settings[peer].index(setting)]
        for position, training in enumerate(several):
            seconds, values = zip(*training, strict=True)
            label = f"{peer}, {setting}" if position == 0 else None
            marker, width = ("o", 2.5) if ours else (".", 1.2)
            percent = [100 * value for value in values]
            axes.plot(seconds, percent, dashes, color=colour, marker=marker, linewidth=width, label=label)
    axes.axhline(100 * target, color="grey", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xticks(TICKS, [str(tick) for tick in TICKS])
    axes.minorticks_off()
    axes.set_ylim(bottom=100 * target - 13)
    axes.set(xlabel="seconds (engram: the whole command; the others: from the start of fit)", ylabel="test accuracy, %")
    axes.set_title(
        f"{lines[0]['data']}, {lines[0]['machine']}, {max(line['date'] for line in lines)[:10]}", fontsize=10
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="lower right")
    figure.tight_layout()
    figure.savefig(out, metadata={"Date": None})


def main(path: Path, data: str, target: float) -> None:
    lines = newest(path, data)
    if not lines:
        raise SystemExit(f"expected measurements on {data} in {path}; there are none")
    head = (
        f"{data}, {lines[0]['machine']}, {min(line['date'] for line in lines)} to {max(line['date'] for line in lines)}"
    )
    text = f"{head}\n\n{table(lines, target)}\n\n{verdict(lines, target)}\n"
    path.with_name(f"peers-{data}.md").write_text(text)
    draw(lines, target, path.with_name(f"peers-{data}.svg"))
    print(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
