"""One figure of a run: the ratios of every section, and how the cost of a step grows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from report import NAMES, Raced, verdicts
from works import GROWTH, Section

from tinygrad_edu.viz import new_figure

BLUE, GREY = "tab:blue", "0.6"
STYLES = {"ours": (BLUE, "o-"), "torch": ("tab:red", "s-"), "jax": ("tab:green", "^-")}


def plot(path: Path, results: Sequence[tuple[Section, list[Raced]]]) -> None:
    """Write the figure in the format that the suffix names. Needs matplotlib (the extra `viz`)."""
    figure = new_figure((11, 8))
    above, below = figure.subfigures(2, 1)
    ratios(above.subplots(), results)
    raced = [each for section, found in results if section.name == "growth" for each in found]
    panels = below.subplots(1, len(GROWTH), sharey=True)
    for axes, what in zip(panels, GROWTH):
        growth(axes, what, [each for each in raced if each.work.name.startswith(what)])
    panels[0].set_ylabel("seconds a step, best thread count")
    if raced:
        panels[0].legend()
    figure.savefig(path)


def ratios(axes, results) -> None:
    """A row a bar, a dot a work; right of the line at 1 we are faster."""
    found = [verdict for section, raced in results for verdict in verdicts(section, raced)]
    for row, verdict in enumerate(reversed(found)):
        values = list(verdict.ratios.values())
        axes.plot(values, [row] * len(values), "o", color=BLUE, alpha=0.4, markeredgewidth=0)
        axes.plot([verdict.mean], [row], "|", color="black", markersize=16)
    names = [
        f"{verdict.section.name}{verdict.subject}: {verdict.bar.title}"
        for verdict in reversed(found)
    ]
    axes.set_yticks(range(len(names)), names)
    axes.axvline(1, color=GREY, zorder=0)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("peer's time / ours (dot: a work, bar: geometric mean)")


def growth(axes, what: str, raced: list[Raced]) -> None:
    """Seconds of a step against one of its measures, both logarithmic: a slope of 1 is in
    proportion to it."""
    for contender, (color, style) in STYLES.items():
        lines = [(each.work.size, each.best([contender])) for each in raced]
        known = [(size, best.median) for size, best in lines if best is not None]
        if known:
            axes.loglog(*zip(*known), style, label=NAMES[contender], color=color)
    sizes = [each.work.size for each in raced]
    axes.set_xticks(sizes, map(str, sizes))
    axes.set_xticks([], minor=True)
    axes.set_xlabel(what)
