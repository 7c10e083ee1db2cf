"""Rosenblatt's perceptron 1958: a neuron that learns from its mistakes.

A linear predictor with a step behind it, and one rule: for every example on the wrong side, add it
to the weights with its sign. On classes that a line separates the rule ends, after no more
corrections than Novikoff's bound allows; on XOR it never does. And as the Navy showed it in July
1958: it tells cards marked on the left from cards marked on the right after 50 of them.
"""

import sys

import numpy as np
from chapter import Chapter

import tinygrad_edu as tg

# XOR with its inputs written as -1 and 1
CORNERS, XOR = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]]), np.array([0, 1, 1, 0])


def rosenblatt(x, y, passes):
    """The rule in plain NumPy: the state (weights, bias) after each correction, and the mistakes of
    each pass. Started from zero; ends after a pass without a mistake."""
    signed = np.where(y > 0, 1.0, -1.0)
    state, states, mistakes = np.zeros(x.shape[1] + 1), [], []
    for _ in range(passes):
        before = len(states)
        for point, sign in zip(np.column_stack([x, np.ones(len(x))]), signed):
            if sign * (point @ state) <= 0:
                state = state + sign * point
                states.append(state)
        mistakes.append(len(states) - before)
        if not mistakes[-1]:
            break
    return states, mistakes


def widest_gap(x, y, angles=3600):
    """(weight, bias) of the line in the middle of the widest gap between the classes in the plane,
    over so many directions."""
    angle = np.linspace(0, 2 * np.pi, angles, endpoint=False)
    directions = np.column_stack([np.cos(angle), np.sin(angle)])
    along = x @ directions.T
    high, low = along[y == 1].min(axis=0), along[y == 0].max(axis=0)
    best = np.argmax(high - low)
    return directions[best], -(high[best] + low[best]) / 2


# --------------------------------------------------------------------------------------------- iris


def flowers():
    """Petal length and width in cm of the 150 flowers in a shuffled order, and whether each is
    something else than setosa."""
    measured, species = tg.data.datasets.iris(dtype=np.float64)[:]
    order = np.random.default_rng(2).permutation(len(species))
    return measured[order][:, 2:], (species[order] > 0).astype(int)


def show_iris(chapter):
    x, y = flowers()
    neuron = tg.nn.Perceptron(2)
    history = neuron.fit(x, y)
    states, mistakes = rosenblatt(x, y, passes=100)
    print(f"iris, setosa or not, by the petals: mistakes in each pass {history.mistakes}")
    print(f"  the line: {neuron.weight.data.round(3)} . petal + {neuron.bias.item():.3f} >= 0")
    chapter.claim(
        "on iris it ends without a mistake",
        history.converged and np.array_equal(neuron.predict(x), y),
    )
    same = np.allclose(np.append(neuron.weight.data, neuron.bias.item()), states[-1], atol=1e-12)
    chapter.claim(
        "it is Rosenblatt's rule, as written out in NumPy", same and history.mistakes == mistakes
    )
    compare_with_scikit_learn(chapter, x, y, neuron, len(mistakes))
    bound = tg.nn.novikoff_bound(x, y, *widest_gap(x, y))
    print(f"  corrections: {history.updates}; Novikoff's bound: {bound:.0f}")
    chapter.claim("no more corrections than Novikoff's bound", history.updates <= bound)


def compare_with_scikit_learn(chapter, x, y, neuron, passes):
    try:
        from sklearn.linear_model import Perceptron
    except ImportError:
        print("  (scikit-learn is not installed: not compared with it)")
        return
    theirs = Perceptron(shuffle=False, tol=None, max_iter=passes).fit(x, y)
    print(f"  scikit-learn's:  {theirs.coef_[0].round(3)}, {theirs.intercept_[0]:.3f}")
    same = np.allclose(theirs.coef_[0], neuron.weight.data, atol=1e-12)
    same &= np.allclose(theirs.intercept_[0], neuron.bias.item(), atol=1e-12)
    chapter.claim("scikit-learn's perceptron finds the same weights", same)


def show_bound(chapter):
    """Many separable sets, of many widths of the gap: corrections against the bound."""
    rng = np.random.default_rng(0)
    worst, sets = 0.0, 20 if chapter.quick else 200
    for _ in range(sets):
        direction = rng.standard_normal(2)
        direction /= np.linalg.norm(direction)
        bias, gap = rng.uniform(-0.5, 0.5), rng.uniform(0.05, 0.5)
        points = rng.uniform(-2, 2, (200, 2))
        along = points @ direction + bias
        kept = np.abs(along) > gap
        x, y = points[kept], (along[kept] > 0).astype(int)
        history = tg.nn.Perceptron(2).fit(x, y, max_epochs=10_000)
        worst = max(worst, history.updates / tg.nn.novikoff_bound(x, y, direction, bias))
    print(f"{sets} random sets with a gap: at most {worst:.0%} of the bound's corrections")
    chapter.claim("the bound holds on every one of them", worst <= 1)


# ---------------------------------------------------------------------------------------------- XOR


def show_xor(chapter):
    passes = 100 if chapter.quick else 1000
    history = tg.nn.Perceptron(2).fit(CORNERS, XOR, max_epochs=passes)
    states, mistakes = rosenblatt(CORNERS, XOR, passes=2)
    after_first, after_second = states[mistakes[0] - 1], states[-1]
    print(f"XOR: mistakes in each pass {history.mistakes[:6]} ... {history.mistakes[-1]}")
    print(f"  weights and bias after pass 1: {after_first}, after pass 2: {after_second}")
    chapter.claim(
        f"on XOR it makes mistakes in each of {passes} passes",
        not history.converged and min(history.mistakes) > 0 and len(history.mistakes) == passes,
    )
    chapter.claim(
        "a pass leaves the weights where they were, so it never ends",
        np.array_equal(after_first, after_second),
    )


# ------------------------------------------------------------------------------- left from right


HEIGHT, WIDTH, MARKS, MARK, TRIALS = 8, 16, 3, 2, 50


def cards(rng, n):
    """(n, HEIGHT * WIDTH) cards with MARKS square marks at random places of one half, and which
    half: 0 left, 1 right."""
    side = rng.integers(0, 2, n)
    images = np.zeros((n, HEIGHT, WIDTH))
    for image, half in zip(images, side * (WIDTH // 2)):
        for _ in range(MARKS):
            row = rng.integers(0, HEIGHT - MARK + 1)
            column = half + rng.integers(0, WIDTH // 2 - MARK + 1)
            image[row : row + MARK, column : column + MARK] = 1
    return images.reshape(n, -1), side


def learn_cards(seed):
    """One learner that sees TRIALS cards once each: its weights as an image, whether it was right
    before each correction, and its share of right answers on 1000 new cards."""
    rng = np.random.default_rng(seed)
    x, side = cards(rng, TRIALS)
    new, new_side = cards(rng, 1000)
    neuron, right = tg.nn.Perceptron(HEIGHT * WIDTH), []
    for card, where in zip(x, side):  # one card at a time, as it was shown
        right.append(not neuron.fit(card[None], [where], max_epochs=1).updates)
    image = neuron.weight.data.reshape(HEIGHT, WIDTH)
    return image, np.array(right), float((neuron.predict(new) == new_side).mean())


def show_cards(chapter):
    learners = 10 if chapter.quick else 50
    results = [learn_cards(seed) for seed in range(learners)]
    early, late = (
        np.mean([right[part] for _, right, _ in results]) for part in (np.s_[:10], np.s_[-10:])
    )
    new = np.array([share for *_, share in results])
    print(f"cards: right on the first 10 of {TRIALS}: {early:.0%}, on the last 10: {late:.0%}")
    print(f"  on 1000 new cards: {np.median(new):.1%} (median of {learners} learners)")
    print(f"  the worst learner: {new.min():.1%}")
    chapter.claim(
        f"after {TRIALS} cards, each seen once, it tells at least 97% of new ones (the median "
        f"of {learners} learners)",
        np.median(new) >= 0.97,
    )
    means = [
        image[:, : WIDTH // 2].mean() < 0 < image[:, WIDTH // 2 :].mean() for image, *_ in results
    ]
    chapter.claim("what it learned: negative weights left, positive ones right", all(means))


# ----------------------------------------------------------------------------------------- pictures


def draw_lines(ax, states, reach):
    """The lines that the states stand for, from pale to dark."""
    xs = np.array(reach)
    for i, (a, b, c) in enumerate(states):
        shade = str(0.85 * (1 - (i + 1) / len(states)))
        last = i == len(states) - 1
        ax.plot(xs, -(a * xs + c) / b, color=shade, linewidth=3 if last else 1.4)


def draw_learning(figure):
    left, middle, right = figure.subplots(1, 3)
    x, y = flowers()
    states, mistakes = rosenblatt(x, y, passes=100)
    for kind, name in ((0, "setosa"), (1, "the other two")):
        chosen = x[y == kind].T
        left.scatter(
            *chosen, color=tg.viz.COLORS[kind], marker=tg.viz.MARKERS[kind], s=24, label=name
        )
    draw_lines(left, states, (0, 8))
    left.set(xlim=(0, 7.5), ylim=(-0.3, 3.2), xlabel="petal length, cm", ylabel="petal width, cm")
    left.set_title(f"Iris: the line after each of {len(states)} corrections,\nfrom pale to black")
    left.legend(loc="lower right", fontsize=11)

    states, cycling = rosenblatt(CORNERS, XOR, passes=12)
    for kind in (0, 1):
        middle.scatter(
            *CORNERS[kind == XOR].T,
            color=tg.viz.COLORS[kind],
            marker=tg.viz.MARKERS[kind],
            s=160,
            zorder=3,
            label=f"XOR is {kind}",
        )
    for i, (a, b, c) in enumerate(states[-4:-1]):  # after the fourth the weights are 0: no line
        middle.axline((0, -c / b), slope=-a / b, color="black", linewidth=1.6)
        middle.text(1.7, -(1.7 * a + c) / b + 0.15, str(i + 1), size=13)
    middle.set(xlim=(-2, 2), ylim=(-2.9, 2), xlabel="a", ylabel="b", xticks=[-1, 1], yticks=[-1, 1])
    middle.set_title(
        "XOR: the line after corrections 1, 2, 3;\nthe fourth puts all weights back to 0"
    )
    middle.legend(loc="lower left", fontsize=11)

    right.plot(range(1, 13), cycling, "s-", color=tg.viz.COLORS[1], label="XOR: 4 in every pass")
    right.plot(
        range(1, len(mistakes) + 1),
        mistakes,
        "o-",
        color=tg.viz.COLORS[0],
        label="iris: none in pass 2",
    )
    right.set(
        xlabel="pass over the examples", ylabel="mistakes", ylim=(-0.3, 9), xticks=range(1, 13)
    )
    right.set_title("Mistakes in each pass")
    right.legend(fontsize=11)
    figure.suptitle("Rosenblatt's rule ends where a line separates, and only there")


def draw_cards(figure):
    shown, side = cards(np.random.default_rng(1), 6)
    image, *_ = learn_cards(0)
    rights = np.mean([learn_cards(seed)[1] for seed in range(50)], axis=0)
    grid = figure.add_gridspec(3, 4)
    for i, (card, half) in enumerate(zip(shown, side)):
        ax = figure.add_subplot(grid[i // 2, i % 2])
        ax.imshow(card.reshape(HEIGHT, WIDTH), cmap="Greys", vmin=0, vmax=1.2)
        ax.set_title("right" if half else "left", fontsize=11)
        ax.axvline(WIDTH / 2 - 0.5, color=tg.viz.COLORS[1], linewidth=1.2)
        ax.set(xticks=[], yticks=[])
        ax.grid(False)
        ax.spines[:].set_visible(True)
    ax = figure.add_subplot(grid[0, 2:])
    reach = np.abs(image).max()
    drawn = ax.imshow(image, cmap="PuOr", vmin=-reach, vmax=reach, aspect="auto")
    figure.colorbar(drawn, ax=ax, label="weight")
    ax.set(xticks=[], yticks=[], title=f"One learner's weights after {TRIALS} cards")
    ax.grid(False)
    ax = figure.add_subplot(grid[1:, 2:])
    ax.plot(range(1, TRIALS + 1), rights)
    ax.axhline(0.5, color="#777777", linestyle=":")
    ax.text(TRIALS, 0.52, "guessing", ha="right", color="#555555")
    ax.set(xlabel="card", ylabel="share that is right", ylim=(0, 1.04), xlim=(0.5, TRIALS + 0.5))
    ax.set_title("Right about the next card: share of 50 learners")
    figure.suptitle("Left from right, after 50 cards (as shown by the Navy, July 1958)")


def main():
    chapter = Chapter(__doc__)
    show_iris(chapter)
    show_bound(chapter)
    show_xor(chapter)
    show_cards(chapter)
    chapter.picture("03_learning", draw_learning, (14, 5))
    chapter.picture("03_cards", draw_cards, (12, 6))
    return chapter.finish()


if __name__ == "__main__":
    sys.exit(main())
