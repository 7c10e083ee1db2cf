"""Machine learning is learning parameters from data.

Choose what is to be learned, say by a number how wrong it is, and descend. That number is made of
distances, and the distance decides what is found: here a mean and a median, lines that mind errors
and lines that do not, the middle of Europe, the middle flower, the ideal 3. Each is compared with
the method that was made for it, in NumPy. Its second half, without_labels.py, needs no labels.
"""

import sys

import numpy as np
import without_labels
from chapter import Chapter

import tinygrad_edu as tg
from tinygrad_edu.distances import great_circle, jaccard, minkowski


def descend(loss, start, lr, steps):
    """Gradient descent. lr: a number, or a function of the step, 1, 2, ... Returns the path."""
    parameters = tg.tensor(np.array(start, dtype=np.float64), requires_grad=True)
    path = [parameters.data.copy()]
    for step in range(1, steps + 1):
        parameters.grad = None
        loss(parameters).backward()
        parameters.data -= (lr(step) if callable(lr) else lr) * parameters.grad.data
        path.append(parameters.data.copy())
    return np.array(path)


def flowers():
    """The four measurements of 150 irises, cm."""
    return tg.data.datasets.iris(dtype=np.float64)[:][0]


# --------------------------------------------------------------------------------------- L1 and L2


def show_mean_and_median(chapter):
    """One number for 150 petal lengths. L1's slope never fades, so its steps must: 1/step."""
    x = flowers()[:, 2]
    l2 = descend(lambda c: ((x - c) ** 2).mean(), 0.0, 0.25, 60)[-1]
    l1 = descend(lambda c: abs(x - c).mean(), 0.0, lambda step: 20 / step, 2000)[-1]
    print(f"petal length: L2 finds {l2:.4f}, the mean is {x.mean():.4f} cm")
    print(f"              L1 finds {l1:.4f}, the median is {np.median(x):.4f} cm")
    # Of 150 numbers all between the middle two are medians; the last step is below 20/2000.
    low, high = np.sort(x)[[74, 75]]
    chapter.claim(
        "L2 finds the mean and L1 a median",
        np.isclose(l2, x.mean(), rtol=1e-12) and low - 0.01 <= l1 <= high + 0.01,
    )


def careless():
    """Petal length and width, where every tenth width was written down in mm instead of cm."""
    x, y = flowers()[:, 2:].T
    wrong = np.arange(len(y)) % 10 == 5
    return x, np.where(wrong, 10 * y, y), wrong


def best_l1_line(x, y):
    """Some best line by L1 passes through two of the points: try all pairs."""
    i, j = np.triu_indices(len(x), 1)
    i, j = i[x[i] != x[j]], j[x[i] != x[j]]
    slope = (y[i] - y[j]) / (x[i] - x[j])
    intercept = y[i] - slope * x[i]
    losses = np.abs(slope[:, None] * x + intercept[:, None] - y).mean(axis=1)
    return losses.min()


def show_robust_line(chapter):
    x, y, wrong = careless()
    middle = x.mean()  # from here slope and height do not disturb each other
    steps = 3000 if chapter.quick else 20_000

    def off(p):
        return p[0] * (x - middle) + p[1] - y

    def l1_loss(p):
        return abs(off(p)).mean()

    l2 = descend(lambda p: (off(p) ** 2).mean(), (0, 0), 0.1, 300)[-1]
    l1 = descend(l1_loss, (0, 0), lambda step: 1 / step**0.75, steps)[-1]
    clean = np.polyfit(x[~wrong], y[~wrong], 1)
    print(f"slope from the right rows {clean[0]:.3f}; with every tenth row wrong:")
    print(f"  L2 {l2[0]:.3f}, L1 {l1[0]:.3f}")
    chapter.claim("L2's line is least squares", np.allclose(l2[0], np.polyfit(x, y, 1)[0]))
    best = best_l1_line(x, y)
    print(f"L1 loss of the descent {l1_loss(l1):.6f}, of all lines through two points {best:.6f}")
    chapter.claim("L1's loss is the least there is, to 0.1%", abs(l1_loss(l1) / best - 1) < 1e-3)
    chapter.claim(
        "L1 hardly minds the errors, L2 does: slope off by less than 5%, by more than 50%",
        abs(l1[0] / clean[0] - 1) < 0.05 and abs(l2[0] / clean[0] - 1) > 0.5,
    )
    return [(slope, height - slope * middle) for slope, height in (l1, l2)]


# ------------------------------------------------------------------------------- other distances

CAPITALS = {  # latitude and longitude, degrees
    "Amsterdam": (52.37, 4.90), "Athens": (37.98, 23.73), "Belgrade": (44.79, 20.45),
    "Berlin": (52.52, 13.41), "Bern": (46.95, 7.45), "Brussels": (50.85, 4.35),
    "Bucharest": (44.43, 26.10), "Budapest": (47.50, 19.04), "Copenhagen": (55.68, 12.57),
    "Dublin": (53.35, -6.26), "Helsinki": (60.17, 24.94), "Kyiv": (50.45, 30.52),
    "Lisbon": (38.72, -9.14), "London": (51.51, -0.13), "Madrid": (40.42, -3.70),
    "Nicosia": (35.19, 33.38), "Oslo": (59.91, 10.75), "Paris": (48.86, 2.35),
    "Prague": (50.08, 14.44), "Reykjavik": (64.15, -21.94), "Riga": (56.95, 24.11),
    "Rome": (41.90, 12.50), "Sofia": (42.70, 23.32), "Stockholm": (59.33, 18.07),
    "Valletta": (35.90, 14.51), "Vienna": (48.21, 16.37), "Vilnius": (54.69, 25.28),
    "Warsaw": (52.23, 21.01), "Zagreb": (45.81, 15.98),
}  # fmt: skip
CITIES = np.array(list(CAPITALS.values()))


def mean_haversine(points):
    """(N, 2) to (N,): the mean distance to the capitals, km, in NumPy."""
    a, b = np.radians(points)[:, None], np.radians(CITIES)
    half = np.sin((a - b) / 2) ** 2
    h = half[..., 0] + np.cos(a[..., 0]) * np.cos(b[..., 0]) * half[..., 1]
    return (2 * 6371.0088 * np.arcsin(np.sqrt(h))).mean(axis=1)


def search(loss, low, high, rounds=9):
    """The lowest point of ever finer grids, without any derivative."""
    for _ in range(rounds):
        axes = [np.linspace(a, b, 41) for a, b in zip(low, high)]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
        best = grid[np.argmin(loss(grid))]
        reach = (np.array(high) - low) / 10
        low, high = best - reach, best + reach
    return best


def show_cities(chapter):
    """The sum of distances has a kink at each city, so the steps must fade here too."""

    def loss(p):
        return great_circle(p, CITIES).mean()

    path = descend(loss, CAPITALS["Lisbon"], lambda step: 0.2 / step, 1000)
    found, expected = path[-1], search(mean_haversine, (35.0, -20.0), (65.0, 30.0))
    nearest = list(CAPITALS)[np.argmin(great_circle(found, CITIES))]
    print(f"nearest to all {len(CITIES)} capitals: {found.round(3)} (latitude, longitude)")
    print(f"by trying ever finer grids:     {expected.round(3)}; that is {nearest}")
    print(f"mean distance {loss(found):.1f} km")
    chapter.claim(
        "descent on the sphere finds the place nearest to all capitals, to 0.005 degrees",
        np.allclose(found, expected, atol=5e-3)
        and np.isclose(loss(found), mean_haversine(found[None])[0], rtol=1e-12),
    )
    return path


def weiszfeld(x, steps=500):
    """The point with the least sum of distances, as E. Weiszfeld (1937) iterates it."""
    c = x.mean(axis=0)
    for _ in range(steps):
        weights = 1 / np.linalg.norm(x - c, axis=1)
        c = weights @ x / weights.sum()
    return c


def show_minkowski(chapter):
    """The middle of the flowers, by distances of two kinds."""
    x = flowers()

    def block_loss(c):
        return minkowski(x, c, p=1).mean()

    euclid = descend(lambda c: minkowski(x, c, p=2).mean(), x.mean(axis=0), 0.5, 500)[-1]
    block = descend(block_loss, x.mean(axis=0), lambda step: 2 / step, 1000)[-1]
    print(f"middle flower: Minkowski 2 {euclid.round(3)}, 1 {block.round(3)}")
    chapter.claim(
        "Minkowski 2 gives Weiszfeld's point, 1 the medians of the coordinates (loss to 0.1%)",
        np.allclose(euclid, weiszfeld(x), atol=1e-6)
        and block_loss(block) < 1.001 * block_loss(np.median(x, axis=0)),
    )


def threes():
    """The images of the digit 3 as sets: (n, 64), 1 where at least half of the point is ink."""
    images, labels = tg.data.datasets.digits(dtype=np.float64)[:]
    return (images[labels == 3] >= 0.5).astype(np.float64)


def show_jaccard(chapter):
    """A set with degrees of membership that is near to all threes."""
    sets = threes()
    path = descend(
        lambda z: jaccard(tg.sigmoid(z), sets).mean(),
        np.zeros(64),
        50.0,
        200 if chapter.quick else 1000,
    )
    ideal = tg.sigmoid(path[-1])
    shared, either = (f(sets[:, None], sets).sum(axis=2) for f in (np.minimum, np.maximum))
    typical = (1 - shared / either).mean(axis=1)
    medoid = sets[typical.argmin()]
    reached = jaccard(ideal, sets).mean()
    print(f"mean Jaccard distance to all threes: of the learned one {reached:.4f},")
    print(f"  of the most typical real one {typical.min():.4f}")
    chapter.claim(
        "the learned 3 is nearer to all threes than any real one", reached < typical.min()
    )
    return ideal, medoid


# ----------------------------------------------------------------------------------------- pictures


def draw_losses(figure, lines):
    left, right = figure.subplots(1, 2)
    lengths = flowers()[:, 2]
    c = np.linspace(0.8, 7.1, 300)
    far = lengths - c[:, None]
    blue, red = tg.viz.COLORS[:2]
    for name, losses, best, what, color in (
        ("L2, cm²", (far**2).mean(axis=1), lengths.mean(), "mean", red),
        ("L1, cm", np.abs(far).mean(axis=1), np.median(lengths), "median", blue),
    ):
        left.plot(c, losses, color=color, label=name)
        lowest = np.interp(best, c, losses)
        left.plot(best, lowest, "o", color=color, markersize=9)
        left.annotate(
            f"{what} {best:.2f}",
            (best, lowest),
            xytext=(0, 14 if what == "mean" else -20),
            textcoords="offset points",
            ha="center",
            size=12,
        )
    left.plot(lengths, np.full_like(lengths, 0.08), "|", color="#777777", markersize=9)
    left.set(xlabel="the one number for all petal lengths, cm", ylabel="mean loss", ylim=(0, 10.5))
    left.set_title("L2 is lowest at the mean, L1 at the median")
    left.legend(fontsize=12)

    x, y, wrong = careless()
    right.scatter(x[~wrong], y[~wrong], s=18, color="#888888", label="width in cm")
    right.scatter(x[wrong], y[wrong], s=42, marker="x", color="black", label="by mistake in mm")
    ends = np.array([0.8, 7.1])
    for name, (slope, intercept), color in zip(("L1", "L2"), lines, (blue, red)):
        label = f"{name}: slope {slope:.2f}"
        right.plot(ends, slope * ends + intercept, color=color, label=label)
    right.set(xlabel="petal length, cm", ylabel="petal width as written down")
    right.set_title("15 of 150 widths are wrong: L1 hardly minds")
    right.legend(loc="upper left", fontsize=11)
    figure.suptitle("The loss decides what is learned")


def draw_distances(figure, path, ideal, medoid):
    grid = figure.add_gridspec(2, 2, width_ratios=[2.8, 1])
    ax = figure.add_subplot(grid[:, 0])
    ax.plot(CITIES[:, 1], CITIES[:, 0], "o", color="#777777", markersize=5)
    for name, (latitude, longitude) in CAPITALS.items():
        left, below = name in ("London", "Nicosia", "Belgrade"), name in ("Stockholm", "Belgrade")
        ax.text(
            longitude + (-0.5 if left else 0.5),
            latitude + (-0.25 if below else 0.25),
            name,
            ha="right" if left else "left",
            va="top" if below else "baseline",
            fontsize=9.5,
        )
    ax.plot(path[:, 1], path[:, 0], ".-", color=tg.viz.COLORS[1], markersize=7)
    ax.plot(path[-1, 1], path[-1, 0], "*", color=tg.viz.COLORS[4], markersize=22, mec="black")
    ax.set(xlabel="longitude, degrees", ylabel="latitude, degrees", xlim=(-24, 38))
    ax.set_aspect(1 / np.cos(np.radians(50)))
    ax.set_title("Great circles: from Lisbon down to the place nearest to all (star)")
    for row, (image, title) in enumerate(
        ((ideal, "Jaccard: the learned 3"), (medoid, "the most typical real 3"))
    ):
        ax = figure.add_subplot(grid[row, 1])
        ax.imshow(image.reshape(8, 8), cmap="Greys", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
        ax.set_title(title)
        ax.grid(False)
        ax.spines[:].set_visible(True)
    figure.suptitle("A loss can be made of any distance that has a slope")


def main():
    chapter = Chapter(__doc__)
    show_mean_and_median(chapter)
    lines = show_robust_line(chapter)
    path = show_cities(chapter)
    show_minkowski(chapter)
    ideal, medoid = show_jaccard(chapter)
    chapter.picture("01_losses", lambda figure: draw_losses(figure, lines), (12, 5))
    chapter.picture(
        "01_distances", lambda figure: draw_distances(figure, path, ideal, medoid), (11, 6)
    )
    without_labels.run(chapter)
    return chapter.finish()


if __name__ == "__main__":
    sys.exit(main())
