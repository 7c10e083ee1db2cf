"""Interpretability: why did it say that, and who decided where "yes" begins?

Four kinds of model read the same handwriting, held out from their training: threshold rules, a
linear layer, a multilayer perceptron, a convolutional network.

1. Accuracy against transparency. Transparency is measured as how many numbers of the model a person
   must read to recompute one decision by hand.
2. What a decision rests on: saliency, integrated gradients, occlusion; and what the whole model
   rests on: permutation importance.
3. Who sets the threshold? "Is it a 1?", asked of a logistic neuron, has a probability as its
   answer. One threshold makes different errors for thin handwriting and for bold (thresholds.py).
"""

import math
import sys

import numpy as np
from chapter import Chapter
from thresholds import who_sets_the_threshold

import tinygrad_edu as tg
from tinygrad_edu.nn.functional import cross_entropy

PIXELS = 64
ERASED = 6  # pixels that are taken away to see whether a decision needed them


# --------------------------------------------------------------------------- 1. four kinds of model


def grow_rules(x, y, depth):
    """A decision tree, grown greedily: the rule "ink at this pixel is at most so much" that leaves
    the two sides as pure as can be (Gini's measure), then the same on each side.

    x: (n, 64) levels of ink 0 to 16, y: (n,). Returns a digit, or (pixel, level, tree where the ink
    is at most that, tree where it is more).
    """
    counts = np.bincount(y, minlength=10)
    if depth == 0 or counts.max() == len(y):
        return int(counts.argmax())
    cells = (np.arange(PIXELS) * 17 + x) * 10 + y[:, np.newaxis]
    below = np.bincount(cells.ravel(), minlength=PIXELS * 170).reshape(PIXELS, 17, 10)
    below = below.cumsum(axis=1)  # [pixel, level, digit]: how many have at most that much ink
    above = counts - below
    purity = sum((side**2).sum(axis=2) / np.maximum(1, side.sum(axis=2)) for side in (below, above))
    pixel, level = np.unravel_index(purity.argmax(), purity.shape)
    low = x[:, pixel] <= level
    if low.all():
        return int(counts.argmax())
    sides = (grow_rules(x[side], y[side], depth - 1) for side in (low, ~low))
    return int(pixel), int(level), *sides


def follow_rules(rules, image):
    """(the digit, how many rules were read) for one image of 64 levels."""
    read = 0
    while isinstance(rules, tuple):
        pixel, level, low, high = rules
        rules = low if image[pixel] <= level else high
        read += 1
    return rules, read


def pixels_read(rules):
    """The pixels that occur in any of the rules."""
    return {rules[0]}.union(*map(pixels_read, rules[2:])) if isinstance(rules, tuple) else set()


def networks(seed):
    """{name: an untrained network}; each takes images (n, 1, 8, 8)."""
    rng = np.random.default_rng(seed)
    nn = tg.nn
    return {
        "linear": nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, 10, rng=rng)),
        "MLP": nn.Sequential(nn.Flatten(), nn.MLP(PIXELS, [32, 10], rng=rng)),
        "CNN": nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, rng=rng),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3, padding=1, rng=rng),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(16 * 4 * 4, 10, rng=rng),
        ),
    }


def train(model, x, y, epochs):
    optimizer = tg.optim.Adam(model.parameters(), lr=0.005)
    tg.train.fit(
        model, cross_entropy, optimizer, (x, y), epochs=epochs, batch_size=32, progress=False, rng=0
    )
    return model.eval()


def predict(model, x):
    with tg.no_grad():
        return model(tg.tensor(x)).data.argmax(axis=1)


def held_out(x, y, folds, n_folds, epochs):
    """({name: digits predicted for the examples of the folds, by models that did not see them},
    {name: numbers read for one decision}, the models of fold 0)."""
    levels = np.rint(x.reshape(-1, PIXELS) * 16).astype(int)
    said, numbers, models = {}, {}, {}
    for fold in reversed(range(n_folds)):
        own, rest = folds == fold, folds != fold
        for depth in (3, 6, 12):
            name = f"rules, at most {depth}"
            models[name] = grow_rules(levels[rest], y[rest], depth)
            found = np.array([follow_rules(models[name], image) for image in levels[own]])
            said.setdefault(name, np.full(len(y), -1))[own] = found[:, 0]
            numbers[name] = 2 * found[:, 1].mean() + 1  # pixel and level of each rule, the digit
        for name, model in networks(seed=fold).items():
            models[name] = train(model, x[rest], y[rest], epochs)
            said.setdefault(name, np.full(len(y), -1))[own] = predict(model, x[own])
            numbers[name] = sum(parameter.size for parameter in model.parameters())
    return said, numbers, models


def accuracy_against_transparency(chapter, x, y, folds):
    n_folds, epochs = (1, 10) if chapter.quick else (5, 12)
    said, numbers, models = held_out(x, y, folds, n_folds, epochs)
    seen = folds < n_folds
    right = {name: (digits == y)[seen] for name, digits in said.items()}
    accuracy = {name: hits.mean() for name, hits in right.items()}
    error = {name: hits.std() / math.sqrt(len(hits)) for name, hits in right.items()}
    print(f"{'':18} numbers read   accuracy on {seen.sum()} images not trained on")
    for name in said:
        print(f"{name:18} {numbers[name]:12,.0f}   {accuracy[name]:.1%} +- {error[name]:.1%}")

    def beats(one, other):
        """By more than two standard errors of the difference on the same images."""
        difference = right[one].astype(float) - right[other]
        return difference.mean() > 2 * difference.std() / math.sqrt(len(difference))

    clear, opaque = "rules, at most 6", "CNN"
    chapter.claim(
        f"a person recomputes the rules from {numbers[clear]:.0f} numbers, the convolutional "
        f"network from {numbers[opaque]:,}; it reads better than the rules and than the linear "
        "layer, and that better than the rules",
        beats(opaque, "linear") and beats("linear", clear) and numbers[opaque] > numbers["linear"],
    )

    def draw(figure):
        ax = figure.add_subplot()
        trees = [name for name in said if name.startswith("rules")]
        ax.plot([numbers[t] for t in trees], [accuracy[t] for t in trees], ":", color="0.6")
        for name in said:
            ax.errorbar(numbers[name], accuracy[name], 2 * error[name], fmt="o", ms=9, capsize=4)
            offset, side = ((-16, -5), "right") if name in trees else ((0, -28), "center")
            place = (numbers[name], accuracy[name])
            ax.annotate(
                name, place, xytext=offset, textcoords="offset points", ha=side, fontsize=12
            )
        ax.set(xscale="log", ylim=(0.3, 1.06))
        ax.set_xlim(3e4, 2)
        ax.set_yticks(np.arange(0.4, 1.01, 0.1), [f"{share}%" for share in range(40, 101, 10)])
        ax.set_xlabel(
            "numbers to read to recompute one decision  (transparent: right)", fontsize=12
        )
        ax.set_ylabel("accuracy on images not trained on", fontsize=12)
        ax.set_title("What is easy to follow reads worse (bars: two standard errors)", fontsize=13)
        ax.grid(alpha=0.3)

    chapter.picture("09_accuracy_against_transparency", draw, (9, 5.5))
    return models


# --------------------------------------------------------------------- 2. what a decision rests on


def one_decision(chapter, model, x, y):
    """Three explanations of a network's decisions, and whether they name what it needs."""
    rightly = predict(model, x) == y
    x, y = x[rightly], y[rightly]
    some, theirs = x[:50], y[:50]
    gaps = {}
    for steps in (16, 64, 256):
        shares = tg.explain.integrated_gradients(model, some, theirs, steps=steps)
        shared_out = np.abs(shares).sum(axis=(1, 2, 3))  # for and against the decision
        gap = tg.explain.completeness_gap(model, some, theirs, shares)
        gaps[steps] = (np.abs(gap) / shared_out).max()
    listed = ", ".join(f"{gap:.2%} with {steps} steps" for steps, gap in gaps.items())
    print(f"\nintegrated gradients: of what is shared out, unaccounted for at most {listed}")
    chapter.claim(
        "integrated gradients account for the difference from a blank image, within 1%, the better "
        "the more steps are taken",
        gaps[256] < 0.01 and gaps[256] < gaps[64] < gaps[16],
    )
    shares = tg.explain.integrated_gradients(model, x, y).reshape(-1, PIXELS)
    flat = x.reshape(-1, PIXELS)
    # random among the pixels with ink: erasing another one would change nothing
    by_chance = np.where(flat > 0, np.random.default_rng(0).random(flat.shape), -1)
    kept = {}
    for name, rank in (("chance", by_chance), ("rank", shares)):
        erased = flat.copy()
        np.put_along_axis(erased, np.argsort(-rank, axis=1)[:, :ERASED], 0, axis=1)
        kept[name] = (predict(model, erased.reshape(x.shape)) == y).mean()
    print(
        f"with {ERASED} inked pixels erased, {kept['chance']:.0%} of {len(y)} are still read "
        f"rightly if chance chose the pixels, {kept['rank']:.0%} if integrated gradients did"
    )
    chapter.claim(
        "what integrated gradients rank first is what the decision needs",
        kept["rank"] < kept["chance"] / 2,
    )
    chapter.picture("09_one_decision", lambda figure: draw_decisions(figure, model, x, y), (9, 11))


def draw_decisions(figure, model, x, y):
    chosen = [int(np.flatnonzero(y == digit)[0]) for digit in (0, 1, 3, 5, 8)]
    images, digits = x[chosen], y[chosen]
    explained = {
        "image": images,
        "saliency:\nwhere a change counts": tg.explain.saliency(model, images, digits),
        "integrated gradients:\neach pixel's share": tg.explain.integrated_gradients(
            model, images, digits
        ),
        "occlusion, 2 x 2:\nwhat is lost unseen": tg.explain.occlusion(
            model, images, digits, window=2
        ),
    }
    axes = figure.subplots(len(chosen), len(explained))
    for column, (title, pictures) in zip(axes.T, explained.items()):
        column[0].set_title(title, fontsize=13)
        for ax, picture in zip(column, pictures):
            picture = np.squeeze(picture)
            top = np.abs(picture).max()
            if title == "image":
                ax.imshow(picture, cmap="gray_r")
            elif picture.min() >= 0:
                ax.imshow(picture, cmap="magma", vmax=top)
            else:
                ax.imshow(picture, cmap="RdBu_r", vmin=-top, vmax=top)
            ax.set(xticks=[], yticks=[])
    for ax, digit in zip(axes[:, 0], digits):
        ax.set_ylabel(f"read as {digit}", fontsize=13)
    figure.suptitle(
        "What a convolutional network's decision rests on (red: for it, blue: against it)",
        fontsize=14,
    )


def whole_model(chapter, models, x, y):
    """Permutation importance of each pixel, for the network and for the rules."""
    repeats = 3 if chapter.quick else 10
    rules = models["rules, at most 12"]

    def by_rules(images):
        levels = np.rint(images.reshape(-1, PIXELS) * 16).astype(int)
        return np.array([follow_rules(rules, image)[0] for image in levels])

    importance = {
        name: tg.explain.permutation_importance(
            model, x, y, lambda said, y: tg.metrics.accuracy(said, y), repeats, rng=0
        ).mean(axis=-1)[0]
        for name, model in (("MLP", models["MLP"]), ("rules", by_rules))
    }
    unread = np.ones(PIXELS, bool)
    unread[list(pixels_read(rules))] = False
    unread = unread.reshape(8, 8)
    print(
        f"the rules read {64 - unread.sum()} of 64 pixels; shuffling the most important one costs "
        f"them {importance['rules'].max():.1%} of accuracy, the MLP {importance['MLP'].max():.1%}"
    )
    chapter.claim(
        "a pixel that no rule reads has an importance of exactly 0, one that is read has more",
        np.all(importance["rules"][unread] == 0) and importance["rules"].max() > 0,
    )

    def draw(figure):
        axes = figure.subplots(1, 3)
        axes[0].imshow(x.mean(axis=(0, 1)), cmap="gray_r")
        axes[0].set_title("mean of the images", fontsize=13)
        for ax, (name, drop) in zip(axes[1:], importance.items()):
            picture = ax.imshow(100 * drop, cmap="magma", vmin=0)
            bar = figure.colorbar(picture, ax=ax, shrink=0.8)
            bar.set_label("points of accuracy lost", fontsize=11)
            ax.set_title(f"importance of each pixel: {name}", fontsize=13)
        rows, columns = np.nonzero(unread)
        axes[2].plot(columns, rows, "x", color="0.6", ms=8)
        axes[2].set_xlabel("x: no rule reads it", fontsize=11)
        for ax in axes:
            ax.set(xticks=[], yticks=[])

    chapter.picture("09_permutation_importance", draw, (14, 4.8))


def main():
    chapter = Chapter(__doc__)
    x, y = tg.data.datasets.digits(flat=False).arrays
    folds = np.random.default_rng(0).permutation(len(x)) % 5
    models = accuracy_against_transparency(chapter, x, y, folds)
    unseen = folds == 0
    one_decision(chapter, models["CNN"], x[unseen], y[unseen])
    whole_model(chapter, models, x[unseen], y[unseen])
    who_sets_the_threshold(chapter, x, y, folds)
    return chapter.finish()


if __name__ == "__main__":
    sys.exit(main())
