"""What is measured, against whom, and the bars that we set ourselves: a table of sections.

To add a work, add it to its section; its `spec` is what `peers/inputs.py` describes. A contender is
a peer or peer/mode. Sections of a new kind need a builder in each peer that takes part.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

EPS = {"float32": 2.0**-23, "float64": 2.0**-52}


@dataclass(frozen=True)
class Work:
    """One line of a table.

    tolerance: how far results may lie apart, from rounding alone, in parts of the largest number.
    size: its place on the axis of a growth plot.
    """

    name: str
    spec: dict[str, Any]
    contenders: tuple[str, ...]
    tolerance: float
    size: int = 0


@dataclass(frozen=True)
class Bar:
    """Against the best of some contenders: how many times faster `subject`, one of ours, is meant
    to be, in the geometric mean and in the worst work. `works` chooses those that it judges;
    `at_peak` replaces `worst` where the contender runs at 90 % of the measured peak or more."""

    title: str
    against: tuple[str, ...]
    mean: float | None = None
    worst: float | None = None
    works: Callable[[Work], bool] = field(default=lambda work: True)
    subject: str = "ours"
    at_peak: float | None = None


@dataclass(frozen=True)
class Section:
    name: str
    title: str
    works: list[Work]
    bars: list[Bar]


COMPILED = "torch/compile"
OURS_COMPILED = "ours/compiled"


def rounding(longest_sum: int, dtype: str) -> float:
    """How far two orders of a sum of rounded products may lie apart, in parts of its terms: the
    probabilistic bound 4 sqrt(k) u, u = eps / 2, since rounding errors are as often up as down.

    Source: N. J. Higham and T. Mary, SIAM Journal on Scientific Computing 41 (2019).
    """
    return 2 * math.sqrt(longest_sum) * EPS[dtype]


def layered(layers: int, longest_sum: int, trained: bool) -> float:
    """The rounding of a network's output, as one long sum: that of each layer, and for the losses
    of four steps forward and backward. Sums over the batch reach a loss only through the rate,
    which is small enough to leave them out."""
    return rounding(layers * longest_sum * (8 if trained else 1), "float32")


def gemm(quick: bool) -> Section:
    shapes = [(n, n, n, "NN") for n in (16, 32, 64, 128, 256, 512, 1024)]
    for batch in (1, 32, 128, 256, 1024):  # a layer of 784 to 128: forward, and both gradients
        shapes += [(batch, 128, 784, "NT"), (batch, 784, 128, "NN"), (128, 784, batch, "TN")]
    if quick:
        shapes = [shapes[1], shapes[4], shapes[10]]
    works = []
    for dtype in ("float32", "float64"):
        for m, n, k, form in shapes:
            contenders: tuple[str, ...] = ("ours", "numpy", "torch", "jax")
            if dtype == "float32" and m == n == k >= 512:
                contenders += ("peak",)
            spec = {"kind": "gemm", "mnk": (m, n, k), "form": form, "dtype": dtype}
            name = f"{m} x {k} by {k} x {n}, {form}, {dtype}"
            works.append(Work(name, spec, contenders, rounding(k, dtype)))
    peers = ("numpy", "torch", "jax")
    bars = [
        Bar("best peer", peers, 1.05, 0.95, lambda work: not _is_tiny(work)),
        Bar("best peer, squares of 16 and 32", peers, None, 0.6, _is_tiny),
        Bar("measured peak", ("peak",)),
    ]
    return Section("gemm", "Matrix products called from Python", works, bars)


def _is_tiny(work: Work) -> bool:
    return max(work.spec["mnk"]) <= 32


NETS = ([2, 16, 16, 1], [64, 32, 10], [784, 128, 10], [784, 256, 128, 10], [784, 1024, 1024, 10])


def network(
    kind: str,
    sizes: list[int],
    batch: int,
    contenders: tuple[str, ...],
    optimizer: str | None = None,
) -> Work:
    """A Work on a multilayer perceptron."""
    return Work(
        f"{sizes}, batch {batch}" + (f", {optimizer}" if optimizer else ""),
        {"kind": kind, "sizes": sizes, "batch": batch, "optimizer": optimizer},
        contenders,
        layered(len(sizes) - 1, max(sizes), bool(optimizer)),
    )


def step(quick: bool) -> Section:
    works = []
    for sizes in NETS[1:3] if quick else NETS:
        for batch in (32,) if quick else (1, 32, 128, 1024):
            for optimizer in ("sgd", "adam"):
                contenders: tuple[str, ...] = ("ours", "torch", "torch/fused", "jax")
                if (batch, optimizer) == (32, "sgd") and not quick:
                    contenders += (COMPILED,)  # seconds of compilation each: elsewhere if asked
                if optimizer == "sgd" and sizes[-1] > 1:
                    contenders += ("sklearn",)
                works.append(network("step", sizes, batch, contenders, optimizer))
    bars = [
        Bar("PyTorch eager, default or fused", ("torch", "torch/fused"), 2.5, 1.0),
        Bar("torch.compile or JAX jit", (COMPILED, "jax")),
        Bar("scikit-learn", ("sklearn",)),
    ]
    return Section("step", "A training step, eager", works, bars)


def compiled(quick: bool) -> Section:
    rivals = ("jax", "torch/fused", "numpy", COMPILED)
    works = []
    for work in step(quick).works:
        present = rivals[:-1] if quick else rivals  # torch.compile takes seconds for each work
        peak = ("peak",) if _is_heavy(work) else ()
        works.append(replace(work, contenders=(OURS_COMPILED, "ours", *present, *peak)))
    bars = [
        Bar("fastest rival", rivals, 1.8, 1.0, subject=OURS_COMPILED, at_peak=0.97),
        Bar("JAX jit, smallest two, batch 1", ("jax",), 6, 5, _is_smallest, OURS_COMPILED),
        Bar("our eager step", ("ours",), subject=OURS_COMPILED),
        Bar("measured peak", ("peak",), works=_is_heavy, subject=OURS_COMPILED),
    ]
    return Section("compiled", "A training step, compiled", works, bars)


def _is_heavy(work: Work) -> bool:
    """Large enough for its matrix products to set the pace, which the peak is the limit of."""
    return work.spec["batch"] >= 32 and work.spec["sizes"][0] == 784


def _is_smallest(work: Work) -> bool:
    return work.spec["batch"] == 1 and work.spec["sizes"] in NETS[:2]


EPOCH = 50  # steps


def scan(quick: bool) -> Section:
    works = []
    for work in step(quick).works:
        spec = {**work.spec, "kind": "epoch", "steps": EPOCH}
        works.append(replace(work, spec=spec, contenders=(OURS_COMPILED, "jax")))
    bars = [Bar("JAX, lax.scan", ("jax",), 1.2, 1.0, subject=OURS_COMPILED)]
    return Section("scan", f"An epoch of {EPOCH} steps in one call, compiled", works, bars)


def lenet(quick: bool) -> Section:
    works = []
    for batch in (1,) if quick else (1, 32, 128):
        peers = ("torch",) if quick else ("torch", "torch/fused", COMPILED, "jax")
        spec = {"kind": "lenet", "batch": batch, "optimizer": "sgd"}
        tolerance = layered(5, 400, trained=True)
        contenders = ("ours", OURS_COMPILED, *peers)
        works.append(Work(f"batch {batch}", spec, contenders, tolerance))
    rivals = ("torch", "torch/fused", COMPILED, "jax")
    bars = [
        Bar("best peer", rivals, 2.0, 1.3),
        Bar("best peer", rivals, 2.5, 1.5, subject=OURS_COMPILED),
    ]
    return Section("lenet", "A training step of LeNet-5, SGD with momentum", works, bars)


def forward(quick: bool) -> Section:
    peers = ("numpy", "torch", "jax")
    works = [
        network("forward", sizes, batch, ("ours", OURS_COMPILED, *peers))
        for sizes in (NETS[1:2] if quick else NETS)
        for batch in (1, 1024)
    ]
    bars = [
        Bar("best peer", peers, 1.15, 0.95),
        Bar("best peer", peers, 1.15, 0.95, subject=OURS_COMPILED),
    ]
    return Section("forward", "Forward only", works, bars)


def elementwise(quick: bool) -> Section:
    contenders = ("ours", "numpy", "torch")
    works = []
    for function in ("exp", "tanh", "sigmoid", "log"):
        for size in (4096,) if quick else (1 << 12, 1 << 16, 1 << 20):
            for dtype in ("float32", "float64"):
                spec = {"kind": "elementwise", "function": function, "size": size, "dtype": dtype}
                name = f"{function}, {size // 1024} Ki, {dtype}"
                works.append(Work(name, spec, contenders, 8 * EPS[dtype]))  # 4 ulp on each side
    bars = [Bar("best peer", contenders[1:], 1.1, 0.95)]
    return Section("elementwise", "Elementwise functions", works, bars)


def moons(quick: bool) -> Section:
    contenders = ("ours", OURS_COMPILED, "micrograd", "micrograd/gc off")
    tolerance = rounding(3 * 8 * 337, "float64")  # three layers, four steps, 337 parameters
    work = Work("[2, 16, 16, 1], 100 points", {"kind": "moons"}, contenders, tolerance)
    bars = [
        Bar("micrograd", ("micrograd",), 20, 20),
        Bar("micrograd, collector off", ("micrograd/gc off",), 2.5, 2.5),
        Bar("micrograd, collector off", ("micrograd/gc off",), 300, 300, subject=OURS_COMPILED),
    ]
    return Section("moons", "One number a node: a step of micrograd's demo", [work], bars)


GROWTH = {"batch": (1, 8, 64, 512, 4096), "width": (16, 64, 256, 1024), "depth": (1, 4, 16, 64)}


def growth(quick: bool) -> Section:
    """A step of [64, 64, 64, 10] on 32 rows, with one of its measures varied."""
    works = []
    for what, values in GROWTH.items():
        for value in values[1:3] if quick else values:
            width = value if what == "width" else 64
            depth = value if what == "depth" else 2
            batch = value if what == "batch" else 32
            sizes = [64, *[width] * depth, 10]
            work = network("step", sizes, batch, ("ours", "torch", "jax"), "sgd")
            works.append(replace(work, name=f"{what} {value}", size=value))
    bars = [Bar("PyTorch eager", ("torch",)), Bar("JAX jit", ("jax",))]
    title = "How a step of [64, 64, 64, 10] on 32 rows grows with batch, width and depth"
    return Section("growth", title, works, bars)


SECTIONS = {
    maker.__name__: maker
    for maker in (gemm, step, compiled, scan, lenet, forward, elementwise, moons, growth)
}


def sections(names: list[str], *, quick: bool, full: bool) -> list[Section]:
    """The sections of these names. quick: a few works of each; full: torch.compile on every work of
    `step`."""
    chosen = [SECTIONS[name](quick) for name in names if name in SECTIONS]
    for section in chosen:
        if full and section.name == "step":
            for i, work in enumerate(section.works):
                contenders = tuple(dict.fromkeys((*work.contenders, COMPILED)))
                section.works[i] = replace(work, contenders=contenders)
    return chosen


def geometric_mean(numbers: list[float]) -> float:
    return math.exp(sum(map(math.log, numbers)) / len(numbers))
