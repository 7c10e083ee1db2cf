"""A run, as a dict that JSON can hold, in words: Markdown tables and one line a work.

A ratio is how many times faster we are: the median over the rounds of (peer / ours), each peer and
ourselves at the number of threads that suits it best. Below 1 we lose.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from memory import BAR
from race import Timing
from works import Bar, Section, Work, geometric_mean

START, END = "<!-- measured: benchmarks -->", "<!-- measured: end -->"
AT_PEAK = 0.9
AT_ITS_PEAK = ", which runs at 90 % of the peak or more"
OURS = {"ours": "ours", "ours/compiled": "ours compiled"}
NAMES = {
    "ours": "tinygrad_edu",
    "ours/compiled": "tinygrad_edu, compiled",
    "numpy": "NumPy",
    "torch": "PyTorch",
    "torch/fused": "PyTorch, fused",
    "torch/compile": "torch.compile",
    "jax": "JAX jit",
    "sklearn": "scikit-learn",
    "micrograd": "micrograd",
    "micrograd/gc off": "micrograd, collector off",
    "peak": "peak",
}


@dataclass(frozen=True)
class Raced:
    """A work and its timings."""

    work: Work
    timings: list[Timing]

    def best(self, contenders: Sequence[str]) -> Timing | None:
        """The fastest of these, whatever its threads; None if none of them was there."""
        there = [timing for timing in self.timings if timing.contender in contenders]
        return min(there, key=lambda timing: timing.median, default=None)

    def ratio(self, contenders: Sequence[str], subject: str = "ours") -> float | None:
        """How many times faster `subject` is than the best of these."""
        ours, peer = self.best([subject]), self.best(contenders)
        if ours is None or peer is None:
            return None
        return median(theirs / mine for theirs, mine in zip(peer.seconds, ours.seconds))

    def is_at_peak(self, contenders: Sequence[str]) -> bool:
        """Whether the best of these runs at 90 % of the measured peak or more."""
        part = self.ratio(["peak"], rival.contender) if (rival := self.best(contenders)) else None
        return part is not None and part >= AT_PEAK


@dataclass(frozen=True)
class Verdict:
    """How the works of a section stand against a bar."""

    section: Section
    bar: Bar
    ratios: dict[str, float]  # by name of the work
    at_peak: frozenset[str] = frozenset()  # the works in which the peer runs at the machine's peak

    @property
    def mean(self) -> float:
        return geometric_mean(list(self.ratios.values()))

    @property
    def worst(self) -> str:
        return min(self.ratios, key=self.ratios.__getitem__)

    @property
    def met(self) -> bool | None:
        """None where there is no bar to meet."""
        if self.bar.mean is None and self.bar.worst is None:
            return None
        each = all(ratio >= self.least(name) for name, ratio in self.ratios.items())
        return each and self.mean >= (self.bar.mean or 0)

    def least(self, name: str) -> float:
        """The bar of this work."""
        special = self.bar.at_peak if name in self.at_peak else None
        return special or self.bar.worst or 0.0

    @property
    def subject(self) -> str:
        """What follows the section's name where both eager and compiled are judged in it."""
        several = len({bar.subject for bar in self.section.bars}) > 1
        return ", compiled" if several and self.bar.subject != "ours" else ""


def verdicts(section: Section, raced: Iterable[Raced]) -> list[Verdict]:
    found = []
    for bar in section.bars:
        judged = [each for each in raced if bar.works(each.work)]
        ratios = {
            each.work.name: ratio
            for each in judged
            if (ratio := each.ratio(bar.against, bar.subject)) is not None
        }
        at_peak = frozenset(each.work.name for each in judged if each.is_at_peak(bar.against))
        if ratios:
            found.append(Verdict(section, bar, ratios, at_peak))
    return found


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def duration(seconds: float) -> str:
    """Three digits and a unit."""
    scale = {"s": 1.0, "ms": 1e-3, "µs": 1e-6}
    unit = next((unit for unit, size in scale.items() if seconds >= size), "µs")
    number = seconds / scale[unit]
    return f"{number:.{max(0, 3 - len(str(int(number))))}f} {unit}"


def cell(raced: Raced, contenders: Sequence[str]) -> str:
    """The best of these, for each number of threads: `PyTorch 120 µs ±3 % / 80.1 µs ±5 %`."""
    best = raced.best(contenders)
    if best is None:
        return "-"
    times = [
        f"{duration(timing.median)} ±{100 * timing.spread:.0f} %"
        for timing in sorted(raced.timings, key=lambda timing: timing.threads)
        if timing.contender == best.contender
    ]
    name = f"{NAMES[best.contender]} " if len(contenders) > 1 else ""
    return name + " / ".join(times)


def details(section: Section, raced: Sequence[Raced]) -> str:
    """A line a work: our times, and for each set of peers the best one's times and the ratio; both
    for eager and for compiled where both are judged."""
    columns: dict[str, dict[tuple[str, ...], str]] = {}
    for verdict in verdicts(section, raced):
        of_ours = columns.setdefault(verdict.bar.subject, {})
        of_ours.setdefault(verdict.bar.against, verdict.bar.title)
    counts = " / ".join(map(str, sorted({t.threads for each in raced for t in each.timings})))
    head, rows = ["work"], [[each.work.name] for each in raced]
    for subject, peers in (columns or {"ours": {}}).items():
        head.append(f"{OURS[subject]}, on {counts} threads")
        for title in peers.values():
            head += [title, "ratio"]
        for row, each in zip(rows, raced):
            row.append(cell(each, [subject]))
            for against in peers:
                ratio = each.ratio(against, subject)
                row += ["", ""] if ratio is None else [cell(each, against), f"{ratio:.2f}"]
    return f"### {section.title}\n\n{table(head, rows)}\n"


def summary(found: Iterable[Verdict]) -> str:
    rows = []
    for each in found:
        bar = " / ".join("-" if x is None else f"{x:g}" for x in (each.bar.mean, each.bar.worst))
        if each.bar.at_peak is not None:
            bar += f", {each.bar.at_peak:g} at peak"
        met = {True: "yes", False: "**no**", None: "-"}[each.met]
        worst = f"{each.ratios[each.worst]:.2f} ({each.worst})"
        number = str(len(each.ratios))
        subject = f"{each.section.title}{each.subject}, against {each.bar.title}"
        rows.append([subject, number, f"{each.mean:.2f}", worst, bar, met])
    return table(["", "works", "geometric mean", "worst", "bar (mean / worst)", "met"], rows)


def losses(found: Iterable[Verdict]) -> str:
    """Every work in which a peer is faster; the peak of the machine is not a peer."""
    rows = [
        (
            ratio,
            f"- {ratio:.2f}: {verdict.section.name}{verdict.subject}, {name}, against "
            f"{verdict.bar.title}{AT_ITS_PEAK if name in verdict.at_peak else ''}",
        )
        for verdict in found
        if "peak" not in verdict.bar.against
        for name, ratio in verdict.ratios.items()
        if ratio < 1
    ]
    return "\n".join(line for _, line in sorted(rows)) or "Nowhere, in this run."


def memory(rows: Sequence[dict[str, Any]]) -> str:
    lines, parts = [], []
    for row in rows:
        parts.append(row["compiled"] / row["eager"])
        sizes = [f"{row[kind] / 1e6:.3g} MB" for kind in ("eager", "compiled", "arena")]
        lines.append([row["work"], *sizes, f"{parts[-1]:.2f}"])
    head = ["work", "eager", "compiled", "of it the arena", "compiled / eager"]
    met = "met" if max(parts) <= BAR else "**not** met"
    return (
        "### Memory of a training step, beyond parameters, optimizer state and inputs\n\n"
        f"{table(head, lines)}\n\nBar: at most {BAR:g} of the eager step in every work; {met}.\n"
    )


def footprint(rows: Sequence[dict[str, Any]]) -> str:
    lines = []
    for row in rows:
        sizes = ["" if row[kind] is None else f"{row[kind]:.3g} MB" for kind in ("own", "all")]
        spread = Timing(row["name"], 1, tuple(row["seconds"])).spread
        time = f"{duration(row['median'])} ±{100 * spread:.0f} %"
        lines.append([row["name"], *sizes, time])
    head = ["package", "itself", "with what it requires", "`python -c 'import ...'`"]
    return f"### Before anything is computed\n\n{table(head, lines)}\n"


def markdown(
    facts: Sequence[str],
    results: Sequence[tuple[Section, list[Raced]]],
    needs: Sequence[dict[str, Any]],
    weights: Sequence[dict[str, Any]],
) -> str:
    """The whole report. needs: rows of `memory`; weights: rows of `footprint`."""
    found = [verdict for section, raced in results for verdict in verdicts(section, raced)]
    parts = ["\n".join(f"- {fact}" for fact in facts)]
    if found:
        parts += [summary(found), "### Where we lose", losses(found)]
    parts += [details(section, raced) for section, raced in results if raced]
    if needs:
        parts.append(memory(needs))
    if weights:
        parts.append(footprint(weights))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def write(path: Path, text: str) -> None:
    """Between the markers of a page that has them; else as the whole file."""
    page = path.read_text(encoding="utf-8") if path.exists() else ""
    if START in page and END in page:
        before, after = page.split(START)[0], page.split(END)[1]
        text = f"{before}{START}\n\n{text}\n{END}{after}"
    path.write_text(text, encoding="utf-8")
