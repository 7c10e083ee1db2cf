"""Convolutional networks: LeNet-5, LeCun 1998.

A filter looks at five by five points of the image, and the same filter looks everywhere: few
parameters make many connections, and what is found moves with the image. The network learns the
bundled digits in seconds, or MNIST's own files (--mnist DIR) or Fashion-MNIST's (--fashion-mnist
DIR) in minutes. Shown are what its filters learned, what they find in an image, what it mistakes
for what, and the mistakes of which it was surest.
"""

import sys

import numpy as np
from chapter import Chapter

import tinygrad_edu as tg

nn, cross_entropy = tg.nn, tg.nn.functional.cross_entropy

CLOTHES = ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag")
CLOTHES += ("boot",)


# ------------------------------------------------------------------------------------------ data


def arguments():
    parser = Chapter.parser(__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--mnist", metavar="DIR", help="the folder of MNIST's IDX files")
    which.add_argument("--fashion-mnist", metavar="DIR", help="the same of Fashion-MNIST")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    return parser


def load(options, seed):
    """(training part, held-out part, names of the classes, words for where it is from)."""
    folder = options.mnist or options.fashion_mnist
    if folder is None:
        images, labels = tg.data.datasets.digits(flat=False)[:]
        # Each point as 4 x 4: LeNet-5 reads 32 x 32.
        whole = tg.data.ArrayDataset(images.repeat(4, axis=2).repeat(4, axis=3), labels)
        train, _, held_out = tg.data.train_val_test_split(
            whole, (0.8, 0, 0.2), stratify=labels, rng=seed
        )
        return train, held_out, range(10), "the bundled digits, 8 x 8 enlarged to 32 x 32"
    mnist = options.mnist is not None
    read = tg.data.datasets.mnist if mnist else tg.data.datasets.fashion_mnist
    train = read(folder, flat=False)
    try:
        held_out, source = read(folder, train=False, flat=False), "the test files"
    except tg.data.datasets.MissingFile:
        share = min(5_000, len(train) // 4) / len(train)
        train, _, held_out = tg.data.train_val_test_split(
            train, (1 - share, 0, share), stratify=train.arrays[1], rng=seed
        )
        source = "held out of the training files, as there are no test files"
    return train, held_out, range(10) if mnist else CLOTHES, source


# ------------------------------------------------------------------------- what a convolution is


def convolved(images, weight, bias):
    """The definition in NumPy: (N, C, H, W) and filters (F, C, k, k) to (N, F, H - k + 1, ...)."""
    size = weight.shape[2:]
    windows = np.lib.stride_tricks.sliding_window_view(images, size, axis=(2, 3))
    return np.einsum("nchwij,fcij->nfhw", windows, weight) + bias[:, np.newaxis, np.newaxis]


def look_at_convolution(chapter, model, images):
    """Count, recompute and shift the first convolution."""
    found = model.summary(images.shape[1:])
    print(found)
    rows = {row.path: row for row in found.layers}
    connections = {
        path: rows[path].parameters * int(np.prod(rows[path].output_shape[1:]))
        for path in ("conv1", "conv2")
    }
    dense = 32 * 32 * 6 * 28 * 28
    print(
        f"\nThe first convolution makes {connections['conv1']:,} connections with "
        f"{rows['conv1'].parameters} parameters; fully connected, its outputs would need {dense:,} "
        "weights."
    )
    chapter.claim(
        "LeNet-5 has 61,706 parameters; its first convolution 156, which make 122,304 connections, "
        "as in the paper",
        found.parameters == 61_706 and connections["conv1"] == 122_304,
    )
    conv1 = model.conv1
    with tg.no_grad():
        maps = conv1(tg.Tensor(images)).data
        moved = conv1(tg.Tensor(np.roll(images, (3, 2), axis=(2, 3)))).data
    by_definition = convolved(images, conv1.weight.data, conv1.bias.data)
    scale = np.abs(by_definition).max()
    difference = np.abs(maps - by_definition).max() / scale
    # 25 products and a bias are summed, in one order or another, each step rounded to 2**-24.
    chapter.claim(
        f"the convolution is its definition in NumPy, within {difference:.0e}",
        difference <= 26 * 2**-24 * np.abs(conv1.weight.data).sum(axis=(1, 2, 3)).max() / scale,
    )
    inside = np.abs(moved[..., 3:, 2:] - maps[..., :-3, :-2]).max() / scale
    chapter.claim(
        f"an image moved by 3 down and 2 right gives maps moved by as much, within {inside:.0e}",
        inside <= 26 * 2**-24 * np.abs(conv1.weight.data).sum(axis=(1, 2, 3)).max() / scale,
    )


# -------------------------------------------------------------------------------------- learning


def learn(model, train, epochs, batch_size, shift, seed):
    """AdamW at a rate that falls along half a cosine, on images moved by up to `shift` points."""
    optimizer = tg.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.05)
    schedule = tg.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    chosen = model.summary(
        optimizer=optimizer,
        lr_schedule="half cosine",
        batch_size=batch_size,
        epochs=epochs,
        shift=shift,
    )
    print(f"\n{len(chosen.training)} hyperparameters of training: {chosen.training}")
    moved = tg.data.RandomShift(train, shift, rng=seed)

    def after_epoch(run):
        schedule.step()
        latest = run.history.last()
        print(
            f"epoch {run.epoch:>2}: loss {latest['train_loss']:.4f}, accuracy "
            f"{latest['train_accuracy']:.4f} while training ({latest['seconds']:.0f} s)",
            flush=True,
        )

    batches = tg.data.DataLoader(moved, batch_size, shuffle=True, rng=seed)
    tg.train.fit(
        model,
        cross_entropy,
        optimizer,
        batches,
        epochs=epochs,
        callbacks=[after_epoch],
        progress=False,
    )


def probabilities(model, images):
    with tg.no_grad():
        parts = [
            tg.softmax(model(tg.Tensor(images[i : i + 500])), axis=1).data
            for i in range(0, len(images), 500)
        ]
    return np.concatenate(parts)


# -------------------------------------------------------------------------------------- pictures


def draw_filters(figure, model):
    top, below = figure.subfigures(2, 1, height_ratios=(1, 3.4))
    title = "The six filters that the first convolution learned (red adds, blue takes away)"
    tg.viz.filters(model.conv1, figure=top, title=title)
    title = "The sixteen of the second: a column a filter, a row a map that it reads"
    tg.viz.filters(model.conv2, figure=below, title=title)


def draw_maps(figure, model, image):
    left, right = figure.subfigures(1, 2, width_ratios=(1, 4))
    tg.viz.image_grid(image, ["the image"], figure=left)
    rows = right.subfigures(4, 1, height_ratios=(1, 1, 1.7, 1.7))
    for row, (layer, words, columns) in zip(
        rows,
        [
            ("conv1", "first convolution: 6 maps of 28 x 28", 6),
            ("pool1", "averaged down to 14 x 14", 6),
            ("conv2", "second convolution: 16 maps of 10 x 10", 8),
            ("pool2", "averaged down to 5 x 5", 8),
        ],
    ):
        tg.viz.feature_maps(model, image, layer, columns=columns, figure=row, title=words)


def draw_confusion(figure, matrix, names):
    """How often a true class (row) was taken for another (column)."""
    ax = tg.viz.confusion_matrix(matrix, figure.add_subplot(), labels=names)
    ax.tick_params("x", labelrotation=45 if names is CLOTHES else 0)
    ax.grid(False)
    right = np.trace(matrix) / matrix.sum()
    ax.set_title(f"{right:.2%} of {matrix.sum():,} held-out images right")


def draw_mistakes(figure, images, labels, scores, names):
    """The mistakes that got the highest probability."""
    said = scores.argmax(axis=1)
    wrong = np.flatnonzero(said != labels)
    surest = wrong[np.argsort(-scores[wrong, said[wrong]])][:10]
    if not len(surest):
        figure.suptitle("No held-out image was mistaken", size=15)
        return
    titles = [
        f"says {names[said[i]]} ({scores[i, said[i]]:.0%})\nis {names[labels[i]]}" for i in surest
    ]
    tg.viz.image_grid(images[surest], titles, columns=5, figure=figure)
    figure.suptitle("The mistakes that the network is surest of", size=15)


# ------------------------------------------------------------------------------------------- all


def settings(options):
    """(epochs, batch size, shift, the accuracy that is claimed, images to learn from at most)."""
    if options.mnist is None and options.fashion_mnist is None:
        return (6, 32, 2, 0.95, None) if options.quick else (10, 32, 2, 0.97, None)
    if options.quick:
        return 4, 64, 1, 0.93 if options.mnist else 0.75, 6_000
    return 10, 64, 1, 0.989 if options.mnist else 0.88, None


def main():
    parser = arguments()
    chapter = Chapter(parser)
    options = chapter.options
    if options.seed < 0:
        parser.error(f"--seed {options.seed}: expected a whole number of at least 0.")
    try:
        train, held_out, names, source = load(options, options.seed)
    except (tg.errors.DataError, OSError) as error:
        parser.error(f"{'--mnist' if options.mnist else '--fashion-mnist'}: {error}")
    epochs, batch_size, shift, claimed, most = settings(options)
    train = train.subset(slice(0, most))
    images, labels = held_out.arrays
    print(f"{len(train):,} images to learn from, {len(held_out):,} held out ({source})\n")

    model = nn.LeNet5(activation="gelu", rng=options.seed)
    look_at_convolution(chapter, model, padded(images[:8]))
    learn(model, train, epochs, batch_size, shift, options.seed)
    scores = probabilities(model, images)
    matrix = tg.metrics.confusion_matrix(scores, labels, 10)
    right = float((scores.argmax(axis=1) == labels).mean())
    chapter.claim(
        f"after {epochs} epochs {right:.2%} of {len(labels):,} held-out images are right, at least "
        f"{claimed:.1%}; so says the confusion matrix too",
        right >= claimed and matrix.trace() == round(right * len(labels)),
    )
    example = padded(images[:1])[0]
    chapter.picture("08_filters", lambda figure: draw_filters(figure, model), (12, 7.2))
    chapter.picture("08_feature_maps", lambda figure: draw_maps(figure, model, example), (12, 9))
    chapter.picture("08_confusion", lambda figure: draw_confusion(figure, matrix, names), (8, 7))
    chapter.picture(
        "08_mistakes", lambda figure: draw_mistakes(figure, images, labels, scores, names), (11, 6)
    )
    return chapter.finish()


def padded(images):
    """In the middle of 32 x 32, as LeNet5 itself puts what is 28 x 28."""
    edge = (32 - images.shape[-1]) // 2
    return np.pad(images, ((0, 0), (0, 0), (edge, edge), (edge, edge)))


if __name__ == "__main__":
    sys.exit(main())
