"""Layers and multilayer perceptrons, 1970: what one neuron cannot, layers of neurons can.

How many parameters does a drawing of a network have, and how many hyperparameters? Parameters are
learned: every arrow is a weight, every neuron behind the inputs has a bias. Hyperparameters are
chosen, for the architecture and for training. Then three problems that no line can solve, and the
layers that solve them: every hidden neuron draws one line, and the layers behind it say on which
sides of the lines which class lies.
"""

import sys

import numpy as np
from chapter import Chapter

import tinygrad_edu as tg

datasets, cross_entropy = tg.data.datasets, tg.nn.functional.cross_entropy

DRAWINGS = [(2, 1), (2, 2, 1), (3, 4, 2), (3, 4, 4, 1), (784, 128, 10)]

# name: the points that a seed draws, the hidden layers, the passes over the training half
PROBLEMS = {
    "XOR": (lambda rng: datasets.xor(600, rng=rng), [8], 60),
    "moons": (lambda rng: datasets.moons(600, rng=rng), [16], 60),
    "spirals": (lambda rng: datasets.spirals(800, rng=rng), [32, 32], 80),
}


# ------------------------------------------------------------------------------------ how many?


def closed_formula(widths):
    """n neurons, then m: n m arrows between them, and a bias for each of the m."""
    return sum(n * m + m for n, m in zip(widths, widths[1:]))


def count(chapter):
    """The two questions, asked of a drawing in full and of more in a table."""
    model = tg.nn.MLP(3, [4, 2], activation="tanh", rng=0)
    optimizer = tg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    print("Three inputs, four hidden neurons, two outputs:\n")
    print(model.summary((3,), optimizer=optimizer, batch_size=32, epochs=20))

    print(f"\n{'network':>16}{'formula':>10}{'summary':>10}{'of the architecture':>22}")
    right = True
    for widths in DRAWINGS:
        model = tg.nn.MLP(widths[0], widths[1:], rng=0)
        found, arrays = model.summary(), model.state_dict().values()
        formula = closed_formula(widths)
        right = right and found.parameters == formula == sum(array.size for array in arrays)
        name = "-".join(map(str, widths))
        chosen = len(found.architecture)
        print(f"{name:>16}{formula:>10,}{found.parameters:>10,}{chosen:>22}")
    chapter.claim(
        "summary() counts as many parameters as the closed formula, sum of n m + m, and as many "
        f"as there are numbers in the arrays, for {len(DRAWINGS)} drawings",
        right,
    )
    lenet = tg.nn.LeNet5(rng=0).summary()
    by_hand = (25 + 1) * 6 + (6 * 25 + 1) * 16 + 401 * 120 + 121 * 84 + 85 * 10
    chapter.claim(
        f"LeNet-5, whose filters are shared by all places of the image, has {by_hand:,} parameters",
        lenet.parameters == by_hand,
    )


def draw_network(figure, widths=(3, 4, 2)):
    """The drawing that the first question is asked of."""
    ax = figure.add_subplot()
    ax.axis("off")
    places = [[(2.6 * i, (n - 1) / 2 - j) for j in range(n)] for i, n in enumerate(widths)]
    for left, right in zip(places, places[1:]):
        for x0, y0 in left:
            for x1, y1 in right:
                arrow = {"arrowstyle": "-|>", "color": "0.45", "shrinkA": 17, "shrinkB": 17}
                ax.annotate("", (x1, y1), (x0, y0), arrowprops=arrow)
    for i, layer in enumerate(places):
        color = ("#FFFFFF", "#B8D8EC", "#F6D3B3")[min(i, 1) + (i == len(places) - 1)]
        ax.scatter(*zip(*layer), s=1100, color=color, edgecolor="black", zorder=3)
        name = "inputs" if i == 0 else "outputs" if i == len(places) - 1 else "hidden neurons"
        ax.text(2.6 * i, 2.15, f"{len(layer)} {name}", ha="center", fontsize=13)
    for i, (n, m) in enumerate(zip(widths, widths[1:])):
        words = f"{n} · {m} = {n * m} weights\n+ {m} biases"
        ax.text(2.6 * i + 1.3, -2.45, words, ha="center", va="center", fontsize=13)
    ax.set(xlim=(-0.6, 2.6 * (len(widths) - 1) + 0.6), ylim=(-2.8, 2.5))
    name = "-".join(map(str, widths))
    figure.suptitle(f"How many parameters? A {name} network has {closed_formula(widths)}", size=15)


# -------------------------------------------------------------------------------- layers learn


def learn(data, hidden, epochs, seed):
    """(network, held-out half, accuracy on it)."""
    train, _, held_out = tg.data.train_val_test_split(data, (0.5, 0, 0.5), rng=seed)
    model = tg.nn.MLP(2, [*hidden, 2], activation="relu", rng=seed)
    optimizer = tg.optim.Adam(model.parameters(), lr=0.02 if len(hidden) < 2 else 0.01)
    tg.train.fit(model, cross_entropy, optimizer, train, epochs=epochs, rng=seed, progress=False)
    reached = tg.train.evaluate(model, cross_entropy, held_out)["accuracy"]
    return model, held_out, reached


def with_numpy(model, points):
    """(logits, [what stands in each hidden layer before its relu]), written out."""
    before = []
    for layer in model.layers[:-1]:
        before.append(points @ layer.weight.data.T + layer.bias.data)
        points = np.maximum(before[-1], 0)
    return points @ model.layers[-1].weight.data.T + model.layers[-1].bias.data, before


def solve(chapter):
    """Each problem with layers and without, over several seeds; the networks of seed 0."""
    seeds = range(3 if chapter.quick else 15)
    shown = {}
    print(f"\nAccuracy on held-out points, the worst and the best of {len(seeds)} seeds:")
    print(f"{'':>16}{'one line':>18}{'with hidden layers':>24}")
    worst, best_line, difference = 1.0, {}, 0.0
    for name, (draw, hidden, epochs) in PROBLEMS.items():
        lines = [learn(draw(seed), [], 20, seed)[-1] for seed in seeds]
        solved = [learn(draw(seed), hidden, epochs, seed) for seed in seeds]
        reached = [accuracy for *_, accuracy in solved]
        print(
            f"{name:>16}{min(lines):>10.1%} {max(lines):>7.1%}{min(reached):>16.1%} "
            f"{max(reached):>7.1%}   hidden {hidden}"
        )
        worst, best_line[name], shown[name] = min(worst, *reached), max(lines), solved[0]
        for model, held_out, _ in solved:
            points = held_out.arrays[0]
            ours, theirs = model(tg.Tensor(points)).data, with_numpy(model, points)[0]
            difference = max(difference, float(np.abs(ours - theirs).max() / np.abs(theirs).max()))
    chapter.claim(
        f"with hidden layers at least 97 of 100 held-out points are right, in each of "
        f"{len(seeds)} seeds of each problem",
        worst >= 0.97,
    )
    chapter.claim(
        "without them, one line never gets so far: below 80 % of XOR (at best 3 of its 4 clouds), "
        "95 % of the moons, 80 % of the spirals",
        best_line["XOR"] < 0.8 and best_line["moons"] < 0.95 and best_line["spirals"] < 0.8,
    )
    # 32 products of relative error 2**-24 each, through three layers, are summed in some order.
    chapter.claim(
        f"the network is relu(points @ weight.T + bias), layer by layer: NumPy gives the same "
        f"numbers, within {difference:.0e} of the largest",
        difference <= 3 * 33 * 2**-24,
    )
    return shown


def draw_regions(ax, model, held_out, layer, title):
    """The classes of the plane, the points, and where each neuron of a hidden layer switches on."""
    x, y = held_out.arrays
    low, high = x.min(axis=0) - 0.2, x.max(axis=0) + 0.2
    width = max(high[0] - low[0], 1.5 * (high[1] - low[1]))  # the panels are 3 wide, 2 high
    middle, half = (low + high) / 2, np.array([width, width / 1.5]) / 2
    across, up = np.meshgrid(*(np.linspace(m - h, m + h, 400) for m, h in zip(middle, half)))
    plane = np.column_stack([across.ravel(), up.ravel()]).astype(np.float32)
    logits, before = with_numpy(model, plane)
    says = logits.argmax(axis=1).reshape(across.shape)
    ax.contourf(across, up, says, levels=[-0.5, 0.5, 1.5], colors=["#CFE3F1", "#F8DCC4"])
    for neuron in before[layer].T:
        if neuron.min() < 0 < neuron.max():
            ax.contour(
                across, up, neuron.reshape(across.shape), levels=[0], colors="0.35", linewidths=0.9
            )
    for label, (color, marker) in enumerate([("#0072B2", "o"), ("#D55E00", "s")]):
        ax.scatter(*x[y == label].T, s=14, color=color, marker=marker, edgecolor="white", lw=0.4)
    ax.set_title(title, fontsize=13)
    ax.set(xticks=[], yticks=[])
    ax.grid(False)


def draw_solutions(figure, shown):
    titles = [
        ("XOR", 0, "XOR: 8 hidden neurons"),
        ("moons", 0, "moons: 16 hidden neurons"),
        ("spirals", 0, "spirals: 32 neurons in the first hidden layer ..."),
        ("spirals", 1, "... and 32 in the second, which combine the lines"),
    ]
    figure.get_layout_engine().set(hspace=0.06)
    for ax, (name, layer, title) in zip(figure.subplots(2, 2).flat, titles):
        model, held_out, reached = shown[name]
        draw_regions(ax, model, held_out, layer, title)
        ax.set_xlabel(f"{reached:.1%} of held-out points right", fontsize=12)
    figure.suptitle(
        "Where each hidden neuron switches on (lines), and what the network says (colours)",
        size=15,
    )


def main():
    chapter = Chapter(__doc__)
    count(chapter)
    shown = solve(chapter)
    chapter.picture("06_how_many_parameters", draw_network, size=(9, 5.5))
    chapter.picture(
        "06_hidden_neurons", lambda figure: draw_solutions(figure, shown), size=(12, 9.2)
    )
    return chapter.finish()


if __name__ == "__main__":
    sys.exit(main())
