"""The pictures of the chapter on training: each function draws on the figure that it is given."""

import math

import numpy as np

ORANGE, BLUE = "#D55E00", "#0072B2"


def draw_backpropagation(figure, net, gradients, values):
    """The network, what flows forward (black) and what flows back (orange)."""
    h1, h2, y, loss = values
    ax = figure.add_subplot()
    ax.axis("off")
    places = {"x1": (0, 1), "x2": (0, -1), "h1": (3, 1), "h2": (3, -1), "y": (6, 0), "L": (8.2, 0)}
    numbers = {"x1": net["x1"], "x2": net["x2"], "h1": h1, "h2": h2, "y": y, "L": loss}
    edges = {("x1", "h1"): "w11", ("x2", "h1"): "w12", ("x1", "h2"): "w21", ("x2", "h2"): "w22"}
    edges |= {("h1", "y"): "v1", ("h2", "y"): "v2", ("y", "L"): None}
    for (a, b), name in edges.items():
        (x0, y0), (x1, y1) = places[a], places[b]
        arrow = {"arrowstyle": "-|>", "color": "0.6", "shrinkA": 34, "shrinkB": 34}
        ax.annotate("", (x1, y1), (x0, y0), arrowprops=arrow)
        if name:
            part = 0.36 if abs(y1 - y0) > 1.5 else 0.5
            words = f"{name} = {net[name]:g}"
            at = (x0 + part * (x1 - x0), y0 + part * (y1 - y0))
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
            ax.text(*at, words, ha="center", va="bottom", fontsize=12, bbox=box)
            slope = f"{gradients[name]:+.4f}"
            ax.text(*at, slope, ha="center", va="top", fontsize=12, color=ORANGE, bbox=box)
    for name, (x, up) in places.items():
        ax.scatter(x, up, s=3600, color="#E4F0F8" if name != "L" else "#F1F1F1", edgecolor="black")
        ax.text(x, up, f"{name}\n{numbers[name]:.3f}", ha="center", va="center", fontsize=12)
        slope = "+1" if name == "L" else f"{gradients[name]:+.4f}"
        ax.text(x, up - 0.42, slope, ha="center", va="center", fontsize=12, color=ORANGE)
    ax.set(xlim=(-0.7, 8.9), ylim=(-1.7, 1.5))
    figure.suptitle(
        "Backpropagation: values go forward (black), dL/d... comes back (orange),\n"
        "multiplied along each path and summed where paths meet",
        size=14,
    )


def draw_small_changes(figure, loss_at, w, gradient, steps, errors):
    left, right = figure.subplots(1, 2)
    around = np.linspace(w - 6, w + 6, 200)
    left.plot(around, [loss_at(v) for v in around], label="loss", lw=2)
    left.plot(around, loss_at(w) + gradient * (around - w), "--", lw=2, label="slope = gradient")
    left.plot(w, loss_at(w), "ko")
    left.set(xlabel="weight w11", ylabel="loss L", title="A small change in w ...")
    left.legend(fontsize=12)
    for (name, error), marker in zip(errors.items(), "os"):
        right.loglog(steps, np.maximum(error, 1e-17), marker, ms=5, label=name)
    right.loglog(steps, steps * errors["one side"][0] / steps[0], color="0.5", lw=1, label="like h")
    square = steps[:22] ** 2 * errors["both sides"][0] / steps[0] ** 2
    right.loglog(steps[:22], square, color="0.5", lw=1, ls=":", label="like h²")
    right.set(xlabel="change h of the weight", ylabel="|finite difference - gradient|")
    right.set_ylim(1e-15, 100)  # the upper part is the legend's
    right.set_title("... misses the gradient by less and less\n(until rounding takes over)")
    right.legend(fontsize=12)


def draw_fits(figure, found, history, tested):
    """Too small and too large; when to stop; what helps."""
    widths = list(found)
    left, middle, right = figure.subplots(1, 3)
    for part, name, color in (("train", "training", BLUE), ("val", "validation", ORANGE)):
        runs = np.array([[errors[part] for errors in found[w]] for w in widths])
        left.plot(range(len(widths)), 100 * runs, ".", color=color, alpha=0.5)
        left.plot(range(len(widths)), 100 * runs.mean(axis=1), color=color, lw=2, label=name)
        middle.plot(range(1, history.epochs + 1), history[f"{part}_loss"], color=color, lw=2)
    left.set_xticks(range(len(widths)), widths)
    left.set(xlabel="hidden neurons", ylabel="mistakes in %", ylim=(0, None))
    left.set_title("Few neurons underfit: both parts wrong.\nMany overfit: a gap", fontsize=13)
    left.legend(fontsize=12)
    best = int(np.argmin(history["val_loss"])) + 1
    middle.axvline(best, color="0.4", ls="--", lw=1.5)
    middle.text(best + 4, 0.97, f"stop here: epoch {best}", fontsize=12, va="top",
                transform=middle.get_xaxis_transform())  # fmt: skip
    middle.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
    middle.set_title(f"{widths[-1]} neurons: validation turns,\ntraining does not", fontsize=13)
    for i, errors in enumerate(tested.values()):
        right.bar(i, 100 * errors.mean(), color="#B8D8EC", edgecolor="black", width=0.65)
        right.plot([i] * len(errors), 100 * errors, "k.", alpha=0.6)
    right.set_xticks(range(len(tested)), [name.replace(" ", "\n", 1) for name in tested])
    right.set(ylabel="mistakes on the test part in %")
    right.set_title("What helps (a dot a seed)", fontsize=13)


def draw_rates(figure, comparisons):
    """The loss over the learning rate, a line an optimizer: what is off the top diverged."""
    axes = figure.subplots(1, len(comparisons), squeeze=False)[0]
    for ax, (title, found, exponents) in zip(axes, comparisons):
        for (name, losses), marker in zip(found.items(), "os^D"):
            means = np.minimum(losses.mean(axis=1), 4)
            ax.semilogx(np.power(10.0, exponents), means, marker=marker, lw=2, label=name)
        ax.axhline(math.log(10), color="0.5", ls="--", lw=1)
        ax.text(10.0 ** exponents[0], 2.36, "guessing: ln 10", fontsize=11, color="0.35")
        ax.set(xlabel="learning rate", ylabel="loss", ylim=(0, 3))
        ax.set_title(title.replace(", loss", ",\nloss"), fontsize=13)
    lines, names = axes[0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside lower center", ncols=4, fontsize=12)
