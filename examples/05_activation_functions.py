"""Activation functions: what stands behind the line, its slope, and what the slope does to depth.

A gradient on its way back is multiplied, layer by layer, by the slope of each activation. Where the
slope is small because a neuron is saturated, learning stops; and since the sigmoid's is never above
1/4, a deep network of sigmoids passes nothing back even before it saturates.
"""

import math
import sys

import numpy as np
from chapter import Chapter

import tinygrad_edu as tg

erf = np.vectorize(math.erf)
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772

# The functions of the library, and each in NumPy's words, to check them by.
ACTIVATIONS = {
    "step": (tg.step, lambda x: np.where(x >= 0, 1.0, 0.0)),
    "sigmoid": (tg.sigmoid, lambda x: 1 / (1 + np.exp(-x))),
    "tanh": (tg.tanh, lambda x: (np.exp(2 * x) - 1) / (np.exp(2 * x) + 1)),
    "hardtanh": (tg.hardtanh, lambda x: np.clip(x, -1, 1)),
    "relu": (tg.relu, lambda x: np.maximum(x, 0)),
    "leaky_relu": (tg.leaky_relu, lambda x: np.where(x > 0, x, 0.01 * x)),
    "elu": (tg.elu, lambda x: np.where(x > 0, x, np.exp(x) - 1)),
    "selu": (
        tg.selu,
        lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * (np.exp(x) - 1)),
    ),
    "softplus": (tg.softplus, lambda x: np.log(1 + np.exp(x))),
    "gelu": (tg.gelu, lambda x: x * (1 + erf(x / math.sqrt(2))) / 2),
    "silu": (tg.silu, lambda x: x / (1 + np.exp(-x))),
    "mish": (tg.mish, lambda x: x * np.tanh(np.log(1 + np.exp(x)))),
}


def slope(function, x):
    """The derivative at each number of `x`, from the rows of the engine: one pull, all at once."""
    out, pull = tg.vjp(function, x)
    return pull(np.ones_like(out))[0]


# ------------------------------------------------------------------------------------ the functions


def show_functions(chapter):
    """Values and slopes against NumPy: a central difference with step h errs by h**2 f''' / 6 and
    by the rounding of f over h, both near 1e-10 for h = 1e-5."""
    x = np.linspace(-5, 5, 1000)  # an even number of points: none on a kink
    h, worst = 1e-5, {}
    print("slope:      smallest  largest   off NumPy's by")
    for name, (function, formula) in ACTIVATIONS.items():
        slopes = slope(function, x)
        numeric = (formula(x + h) - formula(x - h)) / (2 * h)
        off = max(np.abs(function(x) - formula(x)).max(), np.abs(slopes - numeric).max())
        print(f"{name:11} {slopes.min():8.4f} {slopes.max():8.4f}   {off:.0e}")
        worst[name] = off
    chapter.claim(
        "values and derivatives of all twelve agree with NumPy to 1e-9", max(worst.values()) < 1e-9
    )
    at_zero = [slope(f, np.zeros(1)).item() for f in (tg.sigmoid, tg.tanh)]
    chapter.claim(
        "the sigmoid's slope is at most 1/4, tanh's at most 1, both at 0",
        at_zero == [0.25, 1.0]
        and slope(tg.sigmoid, x).max() < 0.25
        and slope(tg.tanh, x).max() < 1,
    )


def show_saturation(chapter):
    """One neuron that is wrong and sure of it: what the two losses say to it.

    Output s = sigmoid(z), target 0: d/dz s**2 = 2 s s (1 - s), and d/dz of the cross-entropy
    log(1 + e**z) = s.
    """
    z = np.array([0.0, 2.0, 5.0, 10.0])
    squared = tg.grad(lambda z: (tg.sigmoid(z) ** 2).sum())(z)
    entropy = tg.grad(
        lambda z: tg.nn.functional.binary_cross_entropy_with_logits(z, np.zeros(4), reduction="sum")
    )(z)
    s = 1 / (1 + np.exp(-z))
    for row in zip(z, s, squared, entropy):
        print(
            "z = {:4.0f}: output {:.5f}, gradient of L2 {:.1e}, of cross-entropy {:.3f}".format(
                *row
            )
        )
    chapter.claim(
        "a saturated neuron hears nothing from L2, and all from cross-entropy",
        np.allclose(squared, 2 * s * s * (1 - s), rtol=1e-9)
        and np.allclose(entropy, s, rtol=1e-9)
        and squared[-1] < 1e-4
        and entropy[-1] > 0.9999,
    )


# -------------------------------------------------------------------------------------------- depth


def network(activation, depth, seed, dtype=np.float64):
    """64 inputs, `depth` hidden layers of 64, 10 outputs, with the weights that suit the
    activation: He's for relu, Glorot's for the others; biases 0."""
    rng = np.random.default_rng(seed)
    model = tg.nn.MLP(64, [64] * depth + [10], activation, dtype=dtype, rng=rng)
    draw = tg.nn.init.kaiming_uniform if activation == "relu" else tg.nn.init.xavier_uniform
    for layer in model.layers:
        layer.weight.data = draw(layer.weight.shape, dtype=dtype, rng=rng)
        layer.bias.data = np.zeros(layer.bias.shape)
    return model


def examples(n=128):
    images, labels = tg.data.datasets.digits(dtype=np.float64)[:]
    return images[:n], labels[:n]


def gradients(model):
    """d loss / d weight of each layer, for the first digits."""
    x, labels = examples()
    model.zero_grad()
    tg.nn.functional.cross_entropy(model(x), labels).backward()
    return [layer.weight.grad.data for layer in model.layers]


def norms(activation, depth, seed):
    """The size of the gradient in each hidden layer, from the first to the last."""
    found = gradients(network(activation, depth, seed))[:-1]
    return np.array([np.linalg.norm(g) for g in found])


def by_hand(model):
    """The same for a network of sigmoids in plain NumPy: (the gradients, and the deltas, d loss / d
    z of each layer, z being what its activation is applied to)."""
    x, labels = examples()
    weights = [layer.weight.data for layer in model.layers]
    outs = [x]
    for weight in weights[:-1]:
        outs.append(1 / (1 + np.exp(-outs[-1] @ weight.T)))
    scores = np.exp(outs[-1] @ weights[-1].T)
    delta = (scores / scores.sum(axis=1, keepdims=True) - np.eye(10)[labels]) / len(x)
    deltas = [delta]
    for weight, out in zip(weights[:0:-1], outs[:0:-1]):
        deltas.insert(0, (deltas[0] @ weight) * out * (1 - out))
    return [delta.T @ out for delta, out in zip(deltas, outs)], deltas


def show_depth(chapter):
    depth, seeds = 20, range(2 if chapter.quick else 10)
    model = network("sigmoid", depth, 0)
    expected, deltas = by_hand(model)
    chapter.claim(
        f"in {depth} layers of sigmoids the gradients are those of backpropagation by hand",
        all(
            np.allclose(a, b, rtol=1e-9, atol=1e-12 * np.abs(b).max())
            for a, b in zip(gradients(model), expected)
        ),
    )
    sizes = [np.linalg.norm(delta) for delta in deltas]
    stretch = [np.linalg.norm(layer.weight.data, 2) for layer in model.layers]
    chapter.claim(
        "each layer passes back at most 1/4 of the gradient times its weights' norm",
        all(sizes[i] <= 0.25 * stretch[i + 1] * sizes[i + 1] for i in range(depth)),
    )
    ratios = {}
    for name in ("sigmoid", "tanh", "relu"):
        found = [norms(name, depth, seed) for seed in seeds]
        ratios[name] = np.array([n[0] / n[-1] for n in found])
        low, high = ratios[name].min(), ratios[name].max()
        print(f"{name:8} gradient in layer 1 over layer {depth}: {low:.1e} to {high:.1e}")
    chapter.claim(
        f"of the gradient in layer {depth} sigmoids leave less than 1e-9 in layer 1",
        ratios["sigmoid"].max() < 1e-9,
    )
    chapter.claim(
        "tanh and relu, with the weights that suit them, keep it within a factor of 3",
        all(1 / 3 < r < 3 for name in ("tanh", "relu") for r in ratios[name]),
    )


def show_training(chapter):
    """The same three, ten layers deep, trained on the digits."""
    digits = tg.data.datasets.digits()
    train, val, _ = tg.data.train_val_test_split(digits, rng=0)
    histories = {}
    for name in ("sigmoid", "tanh", "relu"):
        model = network(name, 10, seed=0, dtype=np.float32)
        histories[name] = tg.train.fit(
            model,
            tg.nn.functional.cross_entropy,
            tg.optim.SGD(model.parameters(), lr=0.02),
            train,
            val,
            epochs=12 if chapter.quick else 30,
            rng=0,
        )
        best = max(histories[name].val_accuracy)
        print(f"{name:8} at its best epoch: {best:.0%} of new digits right")
    best = {name: max(history.val_accuracy) for name, history in histories.items()}
    chapter.claim("ten layers of sigmoids learn nothing: under 20% right", best["sigmoid"] < 0.2)
    chapter.claim("tanh and relu learn: over 90%", min(best["tanh"], best["relu"]) > 0.9)
    return histories


# ----------------------------------------------------------------------------------------- pictures


def draw_functions(figure):
    x = np.linspace(-4, 4, 1600)
    axes = figure.subplots(3, 4, sharex=True)
    for ax, (name, (function, _)) in zip(axes.flat, ACTIVATIONS.items()):
        ax.axhline(0, color="#999999", linewidth=0.8)
        ax.axvline(0, color="#999999", linewidth=0.8)
        ax.plot(x, function(x), label="value", linewidth=2.4)
        ax.plot(x, slope(function, x), "--", label="slope", linewidth=2)
        ax.set(ylim=(-1.4, 2.4), yticks=[-1, 0, 1, 2])
        ax.set_title(name)
    axes[0, 0].legend(loc="upper left", fontsize=11)
    figure.suptitle(
        "Twelve activation functions and their slopes: where the slope is 0, none learns"
    )


def draw_depth(figure, histories):
    left, right = figure.subplots(1, 2)
    for name, marker in zip(histories, tg.viz.MARKERS):
        sizes = norms(name, 20, 0)
        left.semilogy(range(1, 21), sizes, marker=marker, markersize=5, label=name)
        epochs = range(1, histories[name].epochs + 1)
        right.plot(epochs, histories[name].val_accuracy, marker=marker, markersize=5, label=name)
    left.set(xlabel="layer", ylabel="size of the gradient", xticks=[1, 5, 10, 15, 20])
    left.set_title("20 layers: the gradient that reaches each, before training")
    left.legend(fontsize=12, title="in both pictures")
    right.set(xlabel="epoch", ylabel="share of new digits that are right", ylim=(0, 1))
    right.axhline(0.1, color="#777777", linestyle=":")
    right.text(1, 0.12, "guessing", color="#555555")
    right.set_title("10 layers in training: no gradient, no learning")
    figure.suptitle("A layer of sigmoids passes back about a quarter of the gradient it receives")


def main():
    chapter = Chapter(__doc__)
    show_functions(chapter)
    show_saturation(chapter)
    show_depth(chapter)
    histories = show_training(chapter)
    chapter.picture("05_functions", draw_functions, (12, 7))
    chapter.picture("05_depth", lambda figure: draw_depth(figure, histories), (12, 5))
    return chapter.finish()


if __name__ == "__main__":
    sys.exit(main())
