"""Training a deep network, 1986: a small change in w, a small change in the output.

Backpropagation step by step: the chain rule with the numbers in it, every path from the loss to a
weight multiplied along, and summed where paths meet; in plain Python, with the numbers that
`.backward()` gives. Then what training is about: examples to learn from, to decide with and to
report on; networks too small and too large for their examples; early stopping, weight decay and
dropout; optimizers and their learning rates. --mnist compares the optimizers on MNIST as well.
"""

import functools
import math
import sys

import numpy as np
from chapter import Chapter
from training_pictures import draw_backpropagation, draw_fits, draw_rates, draw_small_changes

import tinygrad_edu as tg
from tinygrad_edu.scalar import Value

nn, optim, cross_entropy = tg.nn, tg.optim, tg.nn.functional.cross_entropy

# Two inputs, two sigmoid neurons, one sigmoid neuron, and what it should have said.
NET = {"x1": 1.0, "x2": 0.5, "w11": 0.8, "w12": -0.4, "b1": 0.1, "w21": 0.3, "w22": 0.9}
NET |= {"b2": -0.2, "v1": 1.2, "v2": -0.7, "c": 0.05}
TARGET = 1.0


# ----------------------------------------------------------------------------- backpropagation


def forward(x1, x2, w11, w12, b1, w21, w22, b2, v1, v2, c, sigmoid):
    """(h1, h2, y, loss), of numbers, Values or Tensors."""
    h1 = sigmoid(w11 * x1 + w12 * x2 + b1)
    h2 = sigmoid(w21 * x1 + w22 * x2 + b2)
    y = sigmoid(v1 * h1 + v2 * h2 + c)
    return h1, h2, y, 0.5 * (y - TARGET) ** 2


def number_sigmoid(z):
    return 1 / (1 + math.exp(-z))


def by_hand(net):
    """{name: d loss / d name} by the chain rule, and the lines that say how."""
    h1, h2, y, loss = forward(**net, sigmoid=number_sigmoid)
    lines = [f"forward:  h1 = {h1:.4f}   h2 = {h2:.4f}   y = {y:.4f}   L = (y - 1)²/2 = {loss:.4f}"]
    g = {}

    def step(name, rule, *factors):
        g[name] = math.prod(factors)
        numbers = " · ".join(f"{factor:.4f}" for factor in factors)
        lines.append(f"dL/d{name:<4}= {rule:<38}= {numbers:<26}= {g[name]:+.5f}")

    step("y", "y - 1", y - TARGET)
    step("z", "dL/dy · y (1 - y)", g["y"], y * (1 - y))
    for i, h in (("1", h1), ("2", h2)):
        step(f"v{i}", f"dL/dz · h{i}", g["z"], h)
        step(f"h{i}", f"dL/dz · v{i}", g["z"], net[f"v{i}"])
        step(f"z{i}", f"dL/dh{i} · h{i} (1 - h{i})", g[f"h{i}"], h * (1 - h))
        for j in ("1", "2"):
            step(f"w{i}{j}", f"dL/dz{i} · x{j}", g[f"z{i}"], net[f"x{j}"])
        step(f"b{i}", f"dL/dz{i}", g[f"z{i}"])
    step("c", "dL/dz", g["z"])
    for j in ("1", "2"):  # two paths lead from the loss to each input: they are summed
        paths = [g[f"z{i}"] * net[f"w{i}{j}"] for i in ("1", "2")]
        g[f"x{j}"] = sum(paths)
        rule, numbers = f"dL/dz1 · w1{j} + dL/dz2 · w2{j}", " + ".join(f"{p:.5f}" for p in paths)
        lines.append(f"dL/dx{j}  = {rule:<38}= {numbers:<26}= {g[f'x{j}']:+.5f}   (two paths)")
    return g, (h1, h2, y, loss), lines


def backpropagate(chapter):
    gradients, values, lines = by_hand(NET)
    print("\n".join(lines))
    worst = 0.0
    for kind, sigmoid in (
        (lambda x: tg.tensor(np.float64(x), requires_grad=True), tg.sigmoid),
        (Value, Value.sigmoid),
    ):
        leaves = {name: kind(x) for name, x in NET.items()}
        forward(**leaves, sigmoid=sigmoid)[-1].backward()
        worst = max(worst, *(abs(float(leaves[k].grad) - gradients[k]) for k in NET))
    # Some thirty operations stand between a weight and its gradient, each rounded to 2**-53.
    chapter.claim(
        f"by hand, by Tensor.backward() and by Value.backward(): the same {len(NET)} gradients, "
        f"within {worst:.0e}",
        worst <= 32 * 2**-53 * max(map(abs, gradients.values())),
    )
    return gradients, values


def loss_at(w11):
    return forward(**{**NET, "w11": w11}, sigmoid=number_sigmoid)[-1]


def small_changes(chapter, gradient):
    """Change w11 by h: the change of the loss is gradient · h, but for what shrinks like h²."""
    w = NET["w11"]
    print(f"\n{'h':>10}{'L(w+h) - L(w)':>20}{'gradient · h':>20}{'ratio':>12}")
    for h in 10.0 ** -np.arange(0, 6):
        change = loss_at(w + h) - loss_at(w)
        print(f"{h:>10.0e}{change:>20.3e}{gradient * h:>20.3e}{change / (gradient * h):>12.6f}")
    steps = 10.0 ** -np.arange(0.5, 11.1, 0.25)
    one_sided = np.array([abs((loss_at(w + h) - loss_at(w)) / h - gradient) for h in steps])
    central = [abs((loss_at(w + h) - loss_at(w - h)) / (2 * h) - gradient) for h in steps]
    errors = {"one side": one_sided, "both sides": np.array(central)}
    found = {}
    for name, (low, high) in {"one side": (1e-5, 1e-2), "both sides": (1e-3, 1e-1)}.items():
        chosen = (steps > low) & (steps < high)
        found[name] = np.polyfit(np.log(steps[chosen]), np.log(errors[name][chosen]), 1)[0]
    chapter.claim(
        "the finite difference approaches the gradient like h (order "
        f"{found['one side']:.2f}), from both sides like h² (order {found['both sides']:.2f})",
        abs(found["one side"] - 1) < 0.05 and abs(found["both sides"] - 2) < 0.05,
    )
    return steps, errors


# -------------------------------------------------------------- train, validation, test

N_TRAIN, WRONG, WIDTHS = 200, 0.2, (2, 4, 8, 16, 32, 128)


@functools.cache
def digits_with_mistakes(seed):
    """(train, validation, test): 200 digits to learn from, of which a fifth got a label at random,
    as happens when people label; 719 and 878 with the right labels to decide with and to report."""
    whole = tg.data.datasets.digits()
    n, labels = len(whole), whole.arrays[1]
    fractions = (N_TRAIN / n, 0.4, 0.6 - N_TRAIN / n)
    train, val, test = tg.data.train_val_test_split(whole, fractions, stratify=labels, rng=seed)
    images, labels = train.arrays[0], train.arrays[1].copy()
    rng = np.random.default_rng(seed)
    careless = rng.random(len(labels)) < WRONG
    labels[careless] = rng.integers(0, 10, careless.sum())
    return tg.data.ArrayDataset(images, labels), val, test


def learn(seed, epochs, *, width=128, weight_decay=0.0, dropout=0.0, patience=None):
    """The history, and {part: share of mistakes} of the network that training ended with."""
    train, val, test = digits_with_mistakes(seed)
    rng = np.random.default_rng(seed)
    hidden = nn.Linear(64, width, activation="relu", rng=rng)
    model = nn.Sequential(hidden, nn.Dropout(dropout, rng=seed), nn.Linear(width, 10, rng=rng))
    optimizer = optim.AdamW(model.parameters(), lr=0.01, weight_decay=weight_decay)
    history = tg.train.fit(
        model,
        cross_entropy,
        optimizer,
        train,
        val,
        epochs=epochs,
        early_stopping=patience,
        restore_best=patience is not None,
        rng=seed,
        progress=False,
    )
    parts = {"train": train, "val": val, "test": test}
    return history, {
        name: 1 - tg.train.evaluate(model, cross_entropy, part)["accuracy"]
        for name, part in parts.items()
    }


def capacity(chapter, seeds, epochs):
    """Shares of mistakes, {width: [{part: share} of each seed]}, and the history of the widest."""
    found, histories = {}, []
    for width in WIDTHS:
        runs = [learn(seed, epochs, width=width) for seed in seeds]
        histories, found[width] = [history for history, _ in runs], [errors for _, errors in runs]
    print(f"\nMistakes after {epochs} epochs, mean of {len(seeds)} seeds:")
    print(f"{'hidden neurons':>16}{'train':>10}{'validation':>12}")
    for width, runs in found.items():
        means = [np.mean([errors[part] for errors in runs]) for part in ("train", "val")]
        print(f"{width:>16}{means[0]:>10.1%}{means[1]:>12.1%}")
    narrow, wide = found[WIDTHS[0]], found[WIDTHS[-1]]
    chapter.claim(
        f"underfitting: {WIDTHS[0]} neurons get more than 25 % wrong even of what they learn from, "
        f"in each of {len(seeds)} seeds",
        min(errors["train"] for errors in narrow) > 0.25,
    )
    chapter.claim(
        f"overfitting: {WIDTHS[-1]} neurons learn even the wrong labels (all but 2 % at most), and "
        "get more than 12 % wrong of what they have not seen",
        max(e["train"] for e in wide) <= 0.02 and min(e["val"] for e in wide) > 0.12,
    )
    return found, histories[0]


def regularise(chapter, seeds, epochs):
    """{remedy: share of mistakes on the test part, a number a seed}."""
    remedies = {
        "none": {},
        "early stopping": {"patience": 15},
        "weight decay": {"weight_decay": 1.0},
        "dropout 80 %": {"dropout": 0.8},
    }
    tested = {
        name: np.array([learn(seed, epochs, **how)[1]["test"] for seed in seeds])
        for name, how in remedies.items()
    }
    print(f"\nMistakes on the test part, {WIDTHS[-1]} neurons, {len(seeds)} seeds:")
    for name, errors in tested.items():
        print(f"{name:>16}{errors.mean():>8.1%}   from {errors.min():.1%} to {errors.max():.1%}")
    chapter.claim(
        "early stopping, weight decay and dropout each take away a tenth of the mistakes at least, "
        f"in each of {len(seeds)} seeds, and a quarter on average",
        all((e <= 0.9 * tested["none"]).all() for name, e in tested.items() if name != "none")
        and all(e.mean() <= 0.75 * tested["none"].mean() for n, e in tested.items() if n != "none"),
    )
    return tested


# ------------------------------------------------------------- optimizers and learning rates

OPTIMIZERS = {
    "SGD": optim.SGD,
    "SGD, momentum 0.9": functools.partial(optim.SGD, momentum=0.9),
    "RMSprop": optim.RMSprop,
    "Adam": optim.Adam,
}


def rates(train, widths, seeds, epochs, batch_size, exponents):
    """{optimizer: mean loss over the last epoch, (rates, seeds)}; infinite where it diverged."""
    found = {}
    for name, make in OPTIMIZERS.items():
        found[name] = np.full((len(exponents), len(seeds)), np.inf)
        for (i, j), _ in np.ndenumerate(found[name]):
            model = nn.MLP(widths[0], widths[1:], rng=seeds[j])
            optimizer = make(model.parameters(), lr=10.0 ** exponents[i])
            how = {"epochs": epochs, "batch_size": batch_size, "rng": seeds[j], "progress": False}
            try:
                with np.errstate(all="ignore"):
                    history = tg.train.fit(model, cross_entropy, optimizer, train, **how)
                found[name][i, j] = history.train_loss[-1]
            except FloatingPointError:
                pass
    return found


def print_rates(title, found, exponents):
    print(f"\n{title}; guessing has ln 10 = 2.30:")
    print(f"{'learning rate':>18}" + "".join(f"{10.0**e:>9.0e}" for e in exponents))
    for name, losses in found.items():
        print(f"{name:>18}" + "".join(f"{loss:>9.3f}" for loss in losses.mean(axis=1)))


def compare_on_digits(chapter):
    seeds = range(1 if chapter.quick else 3)
    exponents = [-4, -3, -2, -1, 0, 0.5] if chapter.quick else np.arange(-4, 1, 0.5).tolist()
    digits = tg.data.datasets.digits()
    train = tg.data.train_val_test_split(digits, stratify=digits.arrays[1], rng=0)[0]
    found = rates(train, (64, 64, 10), seeds, 5, 32, exponents)
    over = "one seed" if len(seeds) == 1 else f"mean of {len(seeds)} seeds"
    title = f"Digits, 64-64-10, loss in epoch 5, {over}"
    print_rates(title, found, exponents)
    guessing, every = math.log(10), np.stack(list(found.values()))
    chapter.claim(
        "each optimizer has rates that are too small (1e-4: above 1.8), too large (3: no better "
        "than guessing), and good ones between (below 0.3)",
        (every[:, 0] > 1.8).all()
        and (every[:, -1] > 0.98 * guessing).all()
        and (every.min(axis=1) < 0.3).all(),
    )
    best = {name: exponents[losses.mean(axis=1).argmin()] for name, losses in found.items()}
    chapter.claim(
        "the good rate depends on the optimizer: Adam's best is a tenth of plain SGD's or less",
        best["Adam"] <= best["SGD"] - 1,
    )
    off = max(
        np.abs(found["SGD, momentum 0.9"][i] / found["SGD"][exponents.index(e + 1)] - 1).max()
        for i, e in enumerate(exponents)
        if e <= -2
    )
    chapter.claim(
        "momentum 0.9 is like a rate of 1 / (1 - 0.9) = 10 times as much, while rates are small "
        f"(up to 0.01): losses differ by {off:.0%} at most",
        off < 0.2,
    )
    return title, found, exponents


def compare_on_mnist(chapter, mnist):
    train = mnist.subset(slice(0, 10_000 if chapter.quick else 30_000))
    exponents = [-4, -3, -2, -1, 0]
    found = rates(train, (784, 64, 10), [0], 1, 64, exponents)
    title = f"MNIST, {len(train):,} images, 784-64-10, loss in epoch 1"
    print_rates(title, found, exponents)
    best = {name: exponents[losses.mean(axis=1).argmin()] for name, losses in found.items()}
    chapter.claim(
        "on MNIST too, Adam's best rate is a tenth of plain SGD's or less",
        best["Adam"] <= best["SGD"] - 1,
    )
    return title, found, exponents


# --------------------------------------------------------------------------------------- all


def main():
    parser = Chapter.parser(__doc__)
    parser.add_argument("--mnist", metavar="DIR", help="the folder of MNIST's IDX files")
    chapter = Chapter(parser)
    mnist = None
    if chapter.options.mnist is not None:
        try:
            mnist = tg.data.datasets.mnist(chapter.options.mnist)
        except (tg.errors.DataError, OSError) as error:
            parser.error(f"--mnist: {error}")
    gradients, values = backpropagate(chapter)
    steps, errors = small_changes(chapter, gradients["w11"])
    # That the bounds hold is checked in these seeds; in twelve more they were measured to hold.
    seeds, epochs = range(2 if chapter.quick else 5), 100 if chapter.quick else 150
    found, history = capacity(chapter, seeds, epochs)
    tested = regularise(chapter, seeds, epochs)
    comparisons = [compare_on_digits(chapter)]
    if mnist is not None:
        comparisons.append(compare_on_mnist(chapter, mnist))
    picture = chapter.picture
    picture(
        "07_backpropagation", lambda f: draw_backpropagation(f, NET, gradients, values), (11, 5.5)
    )
    around = (loss_at, NET["w11"], gradients["w11"], steps, errors)
    picture("07_small_changes", lambda f: draw_small_changes(f, *around))
    picture("07_over_and_underfitting", lambda f: draw_fits(f, found, history, tested), (15, 5))
    picture("07_learning_rates", lambda f: draw_rates(f, comparisons), (8 * len(comparisons), 6))
    return chapter.finish()


if __name__ == "__main__":
    sys.exit(main())
