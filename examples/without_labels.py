"""The second half of chapter 1: learning without labels, on the same engine. Clusters and codes.

The parameters are now the centres of clusters, or the weights of a network that copies its input
through a code of eight numbers; the loss says how far the data are from what they stand for.
Descending the intra-cluster variance is k-means, and a linear autoencoder learns what principal
component analysis computes; both are checked against the originals in NumPy.
"""

import sys

import numpy as np
from chapter import Chapter

import tinygrad_edu as tg

# ----------------------------------------------------------------------------------------- clusters


def flowers():
    """The four measurements of 150 irises, cm."""
    return tg.data.datasets.iris(dtype=np.float64)[:][0]


def spread(x, centres):
    """The intra-cluster variance: the mean squared distance to the nearest centre."""
    return ((x[:, None] - centres) ** 2).sum(axis=2).min(axis=1).mean()


def lloyd(x, centres):
    """k-means as S. Lloyd (1957) has it: the path of the centres until they rest."""
    path = [centres]
    while len(path) < 2 or not np.array_equal(path[-1], path[-2]):
        nearest = ((x[:, None] - path[-1]) ** 2).sum(axis=2).argmin(axis=1)
        path.append(np.array([x[nearest == k].mean(axis=0) for k in range(len(centres))]))
    return np.array(path)


def descend(x, start, lr=0.8, steps=300):
    """Plain gradient descent of the spread: the path of the centres."""
    path = [start]
    slope = tg.grad(lambda centres: spread(x, centres))
    for _ in range(steps):
        path.append(path[-1] - lr * slope(path[-1]))
    return np.array(path)


def newton(x, centres, steps):
    """Descent with a step for each centre: N / (2 n) for one that is nearest to n of N points,
    which is the inverse of the curvature there."""
    for _ in range(steps):
        nearest = ((x[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
        counts = np.bincount(nearest, minlength=len(centres))[:, None]
        slope = tg.grad(lambda c: spread(x, c))(centres)
        centres = centres - len(x) / (2 * np.maximum(counts, 1)) * slope
    return centres


def show_clusters(chapter):
    """k-means is Newton's descent of this loss: L. Bottou and Y. Bengio, NIPS 7 (1995)."""
    x, paths, off, rests, same = flowers(), [], 0.0, True, 0
    for seed in range(5 if chapter.quick else 20):
        start = x[np.random.default_rng(seed).choice(len(x), 3, replace=False)]
        theirs = lloyd(x, start)
        off = max(off, np.abs(newton(x, start, len(theirs) - 1) - theirs[-1]).max())
        mine = descend(x, start)
        rests &= np.allclose(lloyd(x, mine[-1])[-1], mine[-1], atol=1e-9)
        same += np.isclose(spread(x, mine[-1]), spread(x, theirs[-1]), rtol=1e-9)
        paths.append((mine, theirs))
    print(f"from {len(paths)} starts: descent with Newton's steps is off Lloyd's end by {off:.0e}")
    print(f"plain descent, all steps 0.8, ends with Lloyd's variance from {same} of them")
    chapter.claim(
        "descending the intra-cluster variance with Newton's steps is k-means", off < 1e-12
    )
    chapter.claim("plain descent too ends where Lloyd's rule has nothing to change", rests)
    return paths[0]


# -------------------------------------------------------------------------------------- compression

CODE, BATCH = 8, 100


def compress(chapter, train, test):
    """{name: (error on train, error on test, reconstructions of test)}, mean squared errors."""
    mean = train.mean(axis=0)
    _, _, axes = np.linalg.svd(train - mean, full_matrices=False)
    axes = axes[:CODE]
    found = {"PCA": [(mean + (x - mean) @ axes.T @ axes) for x in (train, test)]}
    layer, steps = tg.nn.Linear, (800, 1200) if chapter.quick else (4000, 5000)
    models = {
        "linear autoencoder": tg.nn.Sequential(layer(64, CODE, rng=0), layer(CODE, 64, rng=1)),
        "autoencoder": tg.nn.Sequential(
            layer(64, 64, activation="tanh", rng=0),
            layer(64, CODE, rng=1),
            layer(CODE, 64, activation="tanh", rng=2),
            layer(64, 64, rng=3),
        ),
    }
    for (name, model), count, lr in zip(models.items(), steps, (0.01, 0.005)):
        learn_to_copy(model, train, count, lr)
        with tg.no_grad():
            found[name] = [model(tg.Tensor(x)).data for x in (train, test)]
    return {
        name: (((seen - train) ** 2).mean(), ((new - test) ** 2).mean(), new)
        for name, (seen, new) in found.items()
    }


def learn_to_copy(model, train, steps, lr):
    rng, optimizer = np.random.default_rng(0), tg.optim.Adam(model.parameters(), lr=lr)
    schedule = tg.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        batch = tg.Tensor(train[rng.integers(0, len(train), BATCH)])
        optimizer.zero_grad()
        tg.nn.functional.mse_loss(model(batch), batch).backward()
        optimizer.step()
        schedule.step()


def digits():
    images = tg.data.datasets.digits()[:][0]
    order = np.random.default_rng(0).permutation(len(images))
    return images[order[:1400]], images[order[1400:]]


def show_compression(chapter):
    train, test = digits()
    found = compress(chapter, train, test)
    for name, (seen, new, _) in found.items():
        print(f"{name:19} {CODE} numbers for 64: error {seen:.5f}, on new digits {new:.5f}")
    pca, linear, curved = found.values()
    # No linear map through 8 numbers errs less than PCA on what it was made from (Eckart, Young).
    chapter.claim(
        "a linear autoencoder learns what PCA computes: its error within 3% of the optimum",
        pca[0] * (1 - 1e-5) <= linear[0] <= 1.03 * pca[0],
    )
    chapter.claim(
        "with tanh layers it keeps more: an error under 0.85 of PCA's, on new digits",
        curved[1] < 0.85 * pca[1],
    )
    return test, found


# ----------------------------------------------------------------------------------------- pictures


def draw_clusters(figure, mine, theirs):
    left, right = figure.subplots(1, 2)
    x = flowers()
    nearest = ((x[:, None] - mine[-1]) ** 2).sum(axis=2).argmin(axis=1)
    for k, (color, marker) in enumerate(zip(tg.viz.COLORS, tg.viz.MARKERS[:3])):
        left.scatter(*x[nearest == k][:, 2:].T, s=24, color=color, marker=marker, alpha=0.6)
        left.plot(*mine[:, k, 2:].T, ".-", color="black", markersize=4, linewidth=1.2)
        left.plot(*mine[0, k, 2:], "o", color="white", markeredgecolor="black", markersize=9)
        left.plot(*mine[-1, k, 2:], "*", color=color, markeredgecolor="black", markersize=20)
    left.set(xlabel="petal length, cm", ylabel="petal width, cm")
    left.set_title("The centres, from three flowers (rings) to their ends (stars)")
    for path, name, style in ((mine, "gradient descent", "-"), (theirs, "Lloyd's k-means", "s--")):
        losses = [spread(x, centres) for centres in path[:30]]
        right.plot(range(len(losses)), losses, style, label=name)
    right.set(xlabel="step", ylabel="intra-cluster variance, cm²")
    right.set_title("What is descended")
    right.legend(fontsize=12)
    figure.suptitle("Clustering is descending the distance to the nearest centre")


def draw_compression(figure, test, found):
    rows = {"the digit": test, **{name: copies for name, (*_, copies) in found.items()}}
    axes = figure.subplots(len(rows), 10)
    for row, (name, images) in zip(axes, rows.items()):
        for ax, image in zip(row, images):
            ax.imshow(image.reshape(8, 8), cmap="Greys", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
            ax.grid(False)
            ax.spines[:].set_visible(True)
        error = f"\nerror {found[name][1]:.4f}" if name in found else ""
        row[0].set_ylabel(
            f"{name.replace(' auto', chr(10) + 'auto')}{error}", rotation=0, ha="right", va="center"
        )
    figure.suptitle(f"New digits, each copied through a code of {CODE} numbers")


def run(chapter):
    """Show both, claim and draw."""
    mine, theirs = show_clusters(chapter)
    test, found = show_compression(chapter)
    chapter.picture("01_clusters", lambda figure: draw_clusters(figure, mine, theirs), (12, 5))
    chapter.picture("01_codes", lambda figure: draw_compression(figure, test, found), (12, 5.4))


if __name__ == "__main__":
    chapter = Chapter(__doc__)
    run(chapter)
    sys.exit(chapter.finish())
