"""McCulloch and Pitts 1943: a neuron that computes logic.

The unit: Boolean inputs, a threshold, absolute inhibition. It fires if no inhibitory input is
active and at least `threshold` of the others are. Which value makes it AND? Which functions can one
unit compute, and which need a network of them?
"""

import itertools
import sys

import numpy as np
from chapter import Chapter

import tinygrad_edu as tg

Unit = tg.nn.McCullochPitts


def rows(n):
    """(2**n, n): all inputs."""
    return np.array(list(itertools.product((0, 1), repeat=n)))


def wired(unit, *inputs):
    """The unit's output for arrays of bits, one array an input."""
    return unit(np.stack(np.broadcast_arrays(*inputs), axis=-1))


# ------------------------------------------------------------------------------------ the threshold


def name_of(outputs, n):
    """What a column of a truth table computes, judged from the table alone."""
    active = rows(n).sum(axis=1)
    candidates = {
        "always 1": active >= 0,
        "OR": rows(n).any(axis=1),
        "AND": rows(n).all(axis=1),
        "majority": 2 * active > n,
        "always 0": active < 0,
    }
    return next((name for name, t in candidates.items() if np.array_equal(t, outputs)), "count")


def threshold_names(n):
    """[(threshold, name)] for thresholds from 0 to n + 1 in steps of one half."""
    return [(t, name_of(Unit(n, t)(rows(n)), n)) for t in np.arange(0, n + 1.25, 0.5)]


def show_thresholds(chapter):
    for n in (2, 3, 5):
        print(f"{n} inputs:", ", ".join(f"{t:g} {name}" for t, name in threshold_names(n)))
    holds = True
    for n in range(2, 7):
        names = threshold_names(n)
        holds &= all((name == "AND") == (n - 1 < t <= n) for t, name in names)
        holds &= all((name == "OR") == (0 < t <= 1) for t, name in names)
    chapter.claim("the threshold n makes AND of n inputs, and 1 makes OR (n = 2 to 6)", holds)


# ------------------------------------------------------------------------------- what one unit can


GATES = [  # name, unit, the truth in Python's own words
    ("AND", Unit(2, threshold=2), lambda a, b: a and b),
    ("OR", Unit(2, threshold=1), lambda a, b: a or b),
    ("NOT", Unit(1, threshold=0, inhibitory=(0,)), lambda a: not a),
    ("NOR", Unit(2, threshold=0, inhibitory=(0, 1)), lambda a, b: not (a or b)),
    ("a, not b", Unit(2, threshold=1, inhibitory=(1,)), lambda a, b: a and not b),
    ("majority", Unit(3, threshold=2), lambda *x: sum(x) >= 2),
]


def show_gates(chapter):
    right = True
    for name, unit, truth in GATES:
        table = unit.truth_table().tolist()
        right &= all(output == int(truth(*map(bool, inputs))) for *inputs, output in table)
        shown = "  ".join(f"{''.join(map(str, inputs))}->{output}" for *inputs, output in table)
        print(f"{name:9} {unit!r:53} {shown}")
    chapter.claim(f"one unit computes {', '.join(name for name, *_ in GATES)}", right)


def show_limits(chapter):
    """All units of two inputs, against all sixteen functions of two inputs."""
    found = set()
    for inhibitory in ((), (0,), (1,), (0, 1)):
        for threshold in range(4):
            unit = Unit(2, threshold, inhibitory)
            found.add(tuple(unit(rows(2)).tolist()))
    print(f"two inputs, all wired: {len(found)} of 16 functions by one unit")
    missing = {"NAND": (1, 1, 1, 0), "XOR": (0, 1, 1, 0), "EQUAL": (1, 0, 0, 1)}
    chapter.claim(
        f"no single unit computes {', '.join(missing)}", not found & set(missing.values())
    )


# ------------------------------------------------------------------------------ what a network can


def network(outputs, n):
    """A function that computes the column `outputs` (2**n,) of a truth table in two layers.

    One unit for each row that has a 1: it wants the row's ones, all of them, and is silenced by any
    other input. A last unit ORs them. That every function has such a network is the theorem of
    McCulloch and Pitts.
    """
    wanted = [row for row, output in zip(rows(n), outputs) if output]
    hidden = [Unit(n, int(row.sum()), np.flatnonzero(row == 0).tolist()) for row in wanted]
    last = Unit(max(1, len(hidden)), threshold=1)

    def compute(*inputs):
        fired = [wired(unit, *inputs) for unit in hidden]
        return wired(last, *fired) if fired else wired(last, np.zeros_like(inputs[0]))

    return compute


def show_universality(chapter):
    sizes = (1, 2) if chapter.quick else (1, 2, 3)
    right = True
    for n in sizes:
        functions = list(itertools.product((0, 1), repeat=2**n))
        for outputs in functions:
            right &= np.array_equal(network(outputs, n)(*rows(n).T), outputs)
        print(f"two layers compute all {len(functions)} functions of {n} inputs")
    chapter.claim("two layers of units compute every function of their inputs", right)


xor = network((0, 1, 1, 0), 2)


def add(a, b, bits):
    """The sum of two whole numbers below 2**bits, by units alone: a chain of full adders."""
    carry, total = np.zeros_like(a), np.zeros_like(a)
    for place in range(bits):
        one, other = a >> place & 1, b >> place & 1
        total |= xor(xor(one, other), carry) << place
        carry = wired(Unit(3, threshold=2), one, other, carry)  # the majority
    return total | carry << bits


def show_adder(chapter):
    bits = 4 if chapter.quick else 8
    a, b = np.divmod(np.arange(4**bits), 2**bits)
    print(f"the adder of {bits} bits says 11 + 6 = {add(np.array([11]), np.array([6]), bits)[0]}")
    chapter.claim(
        f"an adder of units adds all {4**bits:,} pairs of {bits} bits",
        np.array_equal(add(a, b, bits), a + b),
    )


def show_refusal(chapter):
    try:
        Unit(2, threshold=2)([0.5, 1])
        said = ""
    except tg.DataError as error:
        said = str(error)
    print(f"for the inputs 0.5 and 1: {said}")
    chapter.claim("inputs that are not Boolean are refused", "0 or 1" in said and "0.5" in said)


# ----------------------------------------------------------------------------------------- pictures


def draw_thresholds(figure):
    """For each number of inputs: does the unit fire, by active inputs and by threshold?"""
    for ax, n in zip(figure.subplots(1, 3), (2, 3, 5)):
        thresholds = range(n + 2)
        fires = np.array([[Unit(n, t)(np.arange(n) < k) for k in range(n + 1)] for t in thresholds])
        fires = fires.reshape(n + 2, n + 1)
        ax.pcolormesh(fires, cmap="Blues", vmin=0, vmax=1.6, edgecolors="white", linewidth=2)
        for t, k in np.ndindex(fires.shape):
            color = "white" if fires[t, k] else "#888888"
            ax.text(k + 0.5, t + 0.5, fires[t, k], ha="center", va="center", color=color, size=13)
        names = [name_of(Unit(n, t)(rows(n)), n) for t in thresholds]
        labels = [
            f"{f'at least {t}' if name == 'count' else name}   {t}"
            for t, name in zip(thresholds, names)
        ]
        ax.set_yticks(np.arange(n + 2) + 0.5, labels)
        ax.set_xticks(np.arange(n + 1) + 0.5, range(n + 1))
        ax.set(xlabel="active inputs", title=f"{n} inputs")
        ax.grid(False)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
    figure.axes[0].set_ylabel("threshold, and what it makes of the unit")
    figure.suptitle("Does the unit fire? The threshold n makes AND, the threshold 1 makes OR")


def draw_unit(ax, x, y, threshold, wires):
    """A unit at (x, y). wires: (from x, from y, inhibitory); an inhibitory one ends in a ring."""
    ax.add_artist(circle(x, y, 0.5, "#D3E7F5"))
    ax.text(x, y, f"≥ {threshold}", ha="center", va="center", size=13)
    for from_x, from_y, inhibitory in wires:
        way = np.array([x - from_x, y - from_y])
        way = way / np.hypot(*way)
        end = np.array([x, y]) - way * (0.74 if inhibitory else 0.5)
        ax.annotate(
            "",
            end,
            (from_x, from_y),
            arrowprops={
                "arrowstyle": "-" if inhibitory else "-|>",
                "lw": 1.8,
                "color": "#444444",
                "shrinkA": 0,
                "shrinkB": 0,
                "mutation_scale": 16,
            },
        )
        if inhibitory:
            ax.add_artist(circle(*(np.array([x, y]) - way * 0.62), 0.12, "white", "#D55E00"))


def circle(x, y, radius, fill, edge="#222222"):
    from matplotlib.patches import Circle

    return Circle((x, y), radius, facecolor=fill, edgecolor=edge, linewidth=2, zorder=3)


def draw_gate(ax, name, unit):
    names = "abc"[: unit.n_inputs]
    heights = np.linspace(1, -1, unit.n_inputs) if unit.n_inputs > 1 else [0.0]
    draw_unit(
        ax,
        2,
        0,
        unit.threshold,
        [(0.35, y, i in unit.inhibitory) for i, y in enumerate(heights)],
    )
    for letter, y in zip(names, heights):
        ax.text(0.15, y, letter, ha="center", va="center", size=13, style="italic")
    ax.annotate("", (3.4, 0), (2.5, 0), arrowprops={"arrowstyle": "-|>", "lw": 1.8})
    ax.set_title(name)


def draw_units(figure):
    """The gates as single units, and XOR as three."""
    axes = figure.subplot_mosaic(
        [["0", "1", "2", "XOR"], ["3", "4", "5", "XOR"]], width_ratios=[1, 1, 1, 1.55]
    )
    for key, (name, unit, _) in zip("012345", GATES):
        draw_gate(axes[key], name, unit)
        axes[key].set(xlim=(-0.1, 3.6), ylim=(-1.4, 1.4))
    ax = axes["XOR"]
    for y, name in ((1.5, "a"), (-1.5, "b")):
        ax.text(0.0, y, name, ha="center", va="center", size=13, style="italic")
    draw_unit(ax, 2.4, 1.5, 1, [(0.25, 1.5, False), (0.25, -1.5, True)])
    draw_unit(ax, 2.4, -1.5, 1, [(0.25, -1.5, False), (0.25, 1.5, True)])
    draw_unit(ax, 4.6, 0, 1, [(2.82, 1.22, False), (2.82, -1.22, False)])
    ax.annotate("", (6.0, 0), (5.1, 0), arrowprops={"arrowstyle": "-|>", "lw": 1.8})
    ax.set(xlim=(-0.3, 6.2), ylim=(-3.2, 3.2))
    ax.set_title("XOR: one unit cannot, three can")
    for ax in figure.axes:
        ax.set_aspect("equal")
        ax.axis("off")
    figure.suptitle("Units of 1943: arrows excite, rings silence, the number is the threshold")


def main():
    chapter = Chapter(__doc__)
    show_thresholds(chapter)
    show_gates(chapter)
    show_limits(chapter)
    show_universality(chapter)
    show_adder(chapter)
    show_refusal(chapter)
    chapter.picture("02_thresholds", draw_thresholds, (12, 5))
    chapter.picture("02_units", draw_units, (12, 5))
    return chapter.finish()


if __name__ == "__main__":
    sys.exit(main())
