"""Deep Dream: the weights stay, the picture learns.

A convolutional network is trained to read handwriting, on images with noise, so that it must look
for strokes and not for single pixels. Then the gradient is taken with respect to the picture.

1. Deep dream. A picture (clouds, or yours: --image FILE.png) is changed so that a layer of the
   network sees more of what it sees in it: gradient ascent with octaves, jitter and normalised
   gradients. The layer knows nothing but strokes of a pen, and so it finds them in the sky. A
   convolution takes pictures of any size; what stands before the Flatten is all that is used.
2. What each class wants. From grey noise, the image that each digit's score likes most. A second
   network, trained on other images from other first weights, is asked what it sees in them.
"""

import sys
from pathlib import Path

import numpy as np
from chapter import Chapter

import tinygrad_edu as tg
from tinygrad_edu.nn.functional import cross_entropy

DIGITS = np.arange(10)
LAYER = "layers.6"  # what follows the last convolution
RATIO = 1.4  # from one octave to the next


# ---------------------------------------------------------------------------------- the networks


def network(side, seed):
    """Reads one digit of side x side points; up to layers.6 it takes pictures of any size."""
    rng = np.random.default_rng(seed)
    nn = tg.nn
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, rng=rng),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1, rng=rng),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(32, 32, 3, padding=1, rng=rng),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * (side // 2) ** 2, 10, rng=rng),
    )


class Noisy:
    """A data set whose images come with fresh noise each time, three tenths of black."""

    def __init__(self, dataset, seed):
        self.dataset = dataset
        self.rng = np.random.default_rng(seed)

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        x, y = self.dataset[index]
        noise = self.rng.standard_normal(x.shape, dtype=np.float32)
        return np.clip(x + 0.3 * noise, 0, 1), y


def handwriting(mnist):
    """Three data sets without a common image: two to train on, one to test; and the epochs."""
    if mnist is None:
        digits = tg.data.datasets.digits(flat=False)
        parts = np.random.default_rng(0).permutation(len(digits)) % 5
        return *(digits.subset(np.isin(parts, own)) for own in ((1, 2), (3, 4), (0,))), 15
    large = tg.data.datasets.mnist(mnist, flat=False)
    test = tg.data.datasets.mnist(mnist, train=False, flat=False)
    half = min(3000, len(large) // 2)
    first, second = large.subset(slice(0, half)), large.subset(slice(half, 2 * half))
    return first, second, test.subset(slice(0, 1000)), 3


def train(dataset, epochs, seed):
    model = network(dataset.arrays[0].shape[-1], seed)
    batches = tg.data.DataLoader(Noisy(dataset, seed), 32, shuffle=True, rng=seed)
    optimizer = tg.optim.Adam(model.parameters(), lr=0.004)
    tg.train.fit(model, cross_entropy, optimizer, batches, epochs=epochs, progress=False)
    return model.eval()


def probabilities(model, images):
    with tg.no_grad():
        return tg.softmax(model(tg.tensor(images)), axis=1).data


# ------------------------------------------------------------------------------------ the picture


def clouds(height, width, seed=1):
    """A sky: noise whose waves are the larger the longer they are. Brightness 0 to 1, (H, W)."""
    rng = np.random.default_rng(seed)
    waves = np.fft.rfft2(rng.standard_normal((height, width)))
    frequency = np.hypot(
        np.fft.fftfreq(height)[:, np.newaxis] * height, np.fft.rfftfreq(width) * height
    )
    sky = np.fft.irfft2(waves / np.maximum(1, frequency) ** 1.7, (height, width))
    sky -= sky.min()
    return (sky / sky.max()).astype(np.float32)


def picture_of(options):
    """The picture to dream on, brightness in 0 to 1: (H, W), or (H, W, 3) in colour."""
    longest = 180 if options.quick else 300
    if options.image is None:
        return clouds(longest * 2 // 3, longest)
    picture = tg.viz.read_image(options.image)
    if picture.min() == picture.max():
        raise ValueError(f"{options.image} is one shade all over: there is nothing to dream of.")
    by = -(-max(picture.shape[:2]) // longest)  # so many pixels become one
    height, width = picture.shape[0] // by * by, picture.shape[1] // by * by
    tiles = picture[:height, :width].reshape(height // by, by, width // by, by, -1)
    return np.squeeze(tiles.mean(axis=(1, 3)), axis=2) if picture.ndim == 2 else tiles.mean((1, 3))


def ink_in(picture):
    """What the network reads: ink, so that dark is 1, (H, W)."""
    return 1 - (picture if picture.ndim == 2 else picture.mean(axis=2))


def recoloured(picture, ink):
    """The picture with the ink of the dream: the change of brightness is added to every colour."""
    darker = ink - ink_in(picture)
    return np.clip(picture - (darker if picture.ndim == 2 else darker[..., np.newaxis]), 0, 1)


# ------------------------------------------------------------------------------------------ dream


def dream(model, ink, layer, channel, steps=12):
    """Four octaves, or as many as leave 32 points to the smallest."""
    room = max(1, min(ink.shape) / 32)
    octaves = min(4, 1 + int(np.log(room) / np.log(RATIO)))
    return tg.explain.dream(
        model, ink, layer, channel, octaves=octaves, octave_scale=RATIO, steps=steps, lr=0.01, rng=0
    )


def excitement(model, ink, layer, channel):
    """The activation once more and by other means: the layers written one after the other, on the
    middle of the picture, without jitter."""
    height, width = ink.shape
    out = tg.tensor(ink[height // 4 : -(height // 4), width // 4 : -(width // 4)][None, None])
    with tg.no_grad():
        for part in model.layers[: int(layer.removeprefix("layers.")) + 1]:
            out = part(out)
    return float(np.mean(out.data**2 if channel is None else out.data[:, channel]))


def deep_dream(chapter, model, picture, dreamt):
    options, ink = chapter.options, ink_in(picture)
    layer, channel = options.layer, options.channel
    named = layer if channel is None else f"{layer}, channel {channel}"
    print(f"\ndeep dream: {named}, on a picture of {ink.shape[0]} x {ink.shape[1]}")
    for octave in dreamt.history:
        size = f"{octave.size[0]} x {octave.size[1]}"
        print(f"  octave {size:>9}: activation {octave.before:.3f} -> {octave.after:.3f}")
    shuffled = np.random.default_rng(0).permutation((dreamt.image - ink).ravel()).reshape(ink.shape)
    by_chance = np.clip(ink + shuffled, 0, 1)
    before, after, chance = (
        excitement(model, image, layer, channel) for image in (ink, dreamt.image, by_chance)
    )
    print(f"  whole picture, no jitter: {dreamt.before:.3f} -> {dreamt.after:.3f}")
    print(f"  its middle: {before:.3f} -> {after:.3f}; same changes, places shuffled: {chance:.3f}")
    default = (options.image, options.mnist, layer, channel) == (None, None, LAYER, None)
    factor = 2 if default else 1
    chapter.claim(
        f"the dream raises the activation more than {factor} times, on the whole and in the middle",
        dreamt.after > factor * dreamt.before and after > factor * before,
    )
    chapter.claim(
        "it rises in every octave, and more than by the same changes at shuffled places",
        all(octave.after > octave.before for octave in dreamt.history) and after > chance,
    )
    if options.out is not None:
        path = options.out / "10_dream.png"
        tg.viz.save_image(path, recoloured(picture, dreamt.image))
        print(f"picture: {path}")
    shape = ink.shape[0] / ink.shape[1]
    chapter.picture(
        "10_deep_dream",
        lambda figure: draw_dream(figure, picture, dreamt, named),
        (13, 13 * shape * (1 / 3 + 1 / len(dreamt.history)) + 2),
    )
    if not chapter.quick:
        chapter.picture(
            "10_what_layers_see",
            lambda figure: draw_layers(figure, model, picture),
            (13, 6.5 * shape + 1.5),
        )


def show(ax, picture, title):
    ax.imshow(picture, cmap="gray", vmin=0, vmax=1)
    ax.set_title(title, fontsize=12)
    ax.set(xticks=[], yticks=[])


def draw_dream(figure, picture, dreamt, named):
    top, bottom = figure.subfigures(2, 1, height_ratios=(1 / 3, 1 / len(dreamt.history)))
    before, after, difference = top.subplots(1, 3)
    show(before, picture, f"before: {named} at {dreamt.before:.2f}")
    show(after, recoloured(picture, dreamt.image), f"after: at {dreamt.after:.2f}")
    change = ink_in(picture) - dreamt.image
    difference.imshow(change, cmap="RdBu_r", vmin=-1, vmax=1)
    difference.set_title("difference (red: brighter, blue: darker)", fontsize=12)
    difference.set(xticks=[], yticks=[])
    axes = bottom.subplots(1, len(dreamt.history), squeeze=False)[0]
    for ax, octave in zip(axes, dreamt.history):
        height, width = octave.size
        show(ax, 1 - octave.image, f"{height} x {width}: {octave.before:.2f} to {octave.after:.2f}")
    bottom.suptitle("the octaves: what one size has found is enlarged for the next", fontsize=13)


def draw_layers(figure, model, picture):
    """What other layers make of the same picture, and the channels of one that tell most between
    its places: those that answer to a line or an edge, not to light or dark."""
    ink = ink_in(picture)
    eyes = tg.nn.Sequential(*model.layers[:4])
    with tg.explain.capture(eyes, "layers.3") as seen, tg.no_grad():
        eyes(tg.tensor(ink[None, None]))
    mean, spread = (f(seen.output.data, axis=(0, 2, 3)) for f in (np.mean, np.std))
    telling = np.argsort(-np.where(mean > 0.005, spread / np.maximum(mean, 0.005), 0))[:4]
    wanted = [("layers.1", None), ("layers.3", None), ("layers.6", None)]
    wanted += [("layers.3", int(channel)) for channel in telling]
    axes = figure.subplots(2, 4).flat
    show(axes[0], picture, "the picture")
    for ax, (layer, channel) in zip(axes[1:], wanted):
        dreamt = dream(model, ink, layer, channel)
        name = f"all of {layer}" if channel is None else f"{layer}, channel {channel}"
        show(
            ax,
            recoloured(picture, dreamt.image),
            f"{name}: {dreamt.before:.2f} to {dreamt.after:.2f}",
        )
    figure.suptitle("The same picture, dreamt by other layers and channels", fontsize=14)


# -------------------------------------------------------------------------- what each class wants


def what_each_class_wants(chapter, model, other, examples):
    """Ten images from noise, and then more from other noise, to have enough to count."""
    side, starts = examples.arrays[0].shape[-1], 3 if chapter.quick else 10
    flatness = 0.5 * (8 / side) ** 2  # a sum over all pixels: as strong for each size of image
    images = [
        tg.explain.maximise(
            model, (10, 1, side, side), DIGITS, lr=0.02, total_variation=flatness, rng=start
        )
        for start in range(starts)
    ]
    own = np.array([probabilities(model, batch)[DIGITS, DIGITS] for batch in images])
    theirs = np.array([probabilities(other, batch).argmax(axis=1) == DIGITS for batch in images])
    print(
        f"\n{own.size} images of what each class wants: the network's own probability is at least"
    )
    print(f"{own.min():.4f}; the second network reads {theirs.sum()} of {theirs.size} as the class")
    share = 0.9 if chapter.options.mnist is None else 0.5  # measured on the bundled digits only
    chapter.claim(
        "the network reads each image as its class, with more than 0.99", own.min() > 0.99
    )
    chapter.claim(
        f"a network of other weights and other training images reads at least {share:.0%} so too",
        theirs.mean() >= share,
    )

    def draw(figure):
        x, y = examples.arrays
        axes = figure.subplots(2, 10)
        for digit, (wanted, mean) in enumerate(axes.T):
            sure = probabilities(other, images[0])[digit, digit]
            show(wanted, 1 - images[0][digit, 0], f"{digit}\nsecond: {sure:.2f}")
            show(mean, 1 - x[y == digit].mean(axis=(0, 1)), "")
        axes[0, 0].set_ylabel("wanted", fontsize=13)
        axes[1, 0].set_ylabel("mean image", fontsize=13)
        figure.suptitle(
            "The image that each class wants most, and how sure a second network is of it",
            fontsize=14,
        )

    chapter.picture("10_what_each_class_wants", draw, (14, 4))


def main():
    parser = Chapter.parser(__doc__)
    parser.add_argument(
        "--image", type=Path, metavar="FILE.png", help="dream on this (default: clouds)"
    )
    parser.add_argument("--layer", default=LAYER, help="layer to excite (default: %(default)s)")
    parser.add_argument("--channel", type=int, help="only this channel of it (default: all)")
    parser.add_argument("--mnist", type=Path, metavar="DIR", help="train on MNIST's files in DIR")
    chapter = Chapter(parser)
    options = chapter.options
    try:  # whatever cannot be used is refused before anything is trained
        picture = picture_of(options)
        first, second, test, epochs = handwriting(options.mnist)
        untrained = network(first.arrays[0].shape[-1], seed=0)
        dream(untrained, ink_in(picture), options.layer, options.channel, steps=1)
    except tg.ShapeError as error:
        parser.error(f"{error} Layers up to {LAYER} take pictures of any size from 2 x 2 on.")
    except OSError as error:
        parser.error(f"{error.filename}: {error.strerror}: name a file that can be read.")
    except (ValueError, ImportError) as error:
        parser.error(str(error))
    models = [train(dataset, epochs, seed) for seed, dataset in enumerate((first, second))]
    for name, model in zip(("first", "second"), models):
        accuracy = tg.metrics.accuracy(probabilities(model, test.arrays[0]), test.arrays[1])
        print(f"{name} network: {accuracy:.1%} of {len(test)} test images read rightly")
    dreamt = dream(models[0], ink_in(picture), options.layer, options.channel)
    if dreamt.before == dreamt.after == 0:
        parser.error(
            f"channel {options.channel} of {options.layer} is 0 everywhere in this picture: there "
            "is no gradient to climb. Take another --channel."
        )
    deep_dream(chapter, models[0], picture, dreamt)
    what_each_class_wants(chapter, *models, test)
    return chapter.finish()


if __name__ == "__main__":
    sys.exit(main())
