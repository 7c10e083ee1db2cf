"""The data sets of the course: bundled handwriting and flowers, MNIST from its files, toy problems.

Nothing is downloaded. `digits` and `iris` are bundled (see files/LICENSE-*.txt); `mnist` and
`fashion_mnist` read the IDX files that you fetched; the toys are drawn. Every set is an
`ArrayDataset` of inputs and int64 labels.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from ..errors import DataError
from .dataset import ArrayDataset
from .idx import read_idx
from .toys import blobs, circles, float_dtype, moons, spirals, xor

__all__ = [
    "blobs",
    "circles",
    "digits",
    "fashion_mnist",
    "iris",
    "mnist",
    "moons",
    "read_idx",
    "spirals",
    "xor",
]


class MissingFile(DataError):
    """Neither file of a data set is there, as opposed to one being there, or being wrong."""


def digits(*, flat: bool = True, dtype: DTypeLike = np.float32) -> ArrayDataset:
    """1,797 handwritten digits of 8 x 8 points, and their labels. They come with the package.

    Images are (1797, 64), or (1797, 1, 8, 8) with flat=False.
    An entry is the share of ink in its block, a multiple of 1/16 between 0 and 1, float32 or
    float64 as `dtype` says; labels are int64 (1797,), the digits 0 to 9. About 180 of each, written
    by 13 people.
    Source: E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, test set,
    UCI Machine Learning Repository, doi:10.24432/C50P49, licence CC BY 4.0.
    """
    with np.load(io.BytesIO(_bundled("digits.npz")), allow_pickle=False) as bundle:
        images, labels = bundle["images"], bundle["labels"]
    return _image_set(images, labels, 16, flat, dtype)


def iris(*, dtype: DTypeLike = np.float32) -> ArrayDataset:
    """150 iris flowers: four measurements and the species of each. They come with the package.

    Measurements are (150, 4), in cm, float32 or float64 as `dtype` says: sepal length, sepal width,
    petal length, petal width. Labels are int64 (150,), 50 of each in this order: 0 setosa,
    1 versicolor, 2 virginica. A plane separates setosa from the others, and none the others.
    Source: R. A. Fisher, Annals of Eugenics 7 (1936), table I; UCI Machine Learning Repository,
    doi:10.24432/C56C76, licence CC BY 4.0.
    """
    table = np.loadtxt(io.BytesIO(_bundled("iris.csv")), delimiter=",", skiprows=1)
    return ArrayDataset(table[:, :4].astype(float_dtype(dtype)), table[:, 4].astype(np.int64))


def _bundled(file: str) -> bytes:
    from importlib import resources

    return resources.files(__package__).joinpath("files", file).read_bytes()


def mnist(
    root: str | Path, train: bool = True, *, flat: bool = True, dtype: DTypeLike = np.float32
) -> ArrayDataset:
    """The MNIST digits in the folder `root`: 60,000 to train on, with train=False 10,000 to test.

    Images are (n, 784), or (n, 1, 28, 28) with flat=False, of `dtype`, scaled from 0..255 to 0..1;
    labels are int64 (n,). The files are those of the original distribution,
    `train-images-idx3-ubyte` and so on, gzipped or not, in `root` itself or where torchvision puts
    them below it (MNIST/raw).
    Raises DataError, naming the file, when one is missing, damaged, exchanged for another, or when
    images and labels differ in number. Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner,
    Proceedings of the IEEE 86 (1998).
    """
    return _idx_set("mnist", root, "MNIST", train, flat, dtype)


def fashion_mnist(
    root: str | Path, train: bool = True, *, flat: bool = True, dtype: DTypeLike = np.float32
) -> ArrayDataset:
    """Fashion-MNIST, ten kinds of clothing: files, shapes, dtypes and errors as in `mnist`.

    Source: H. Xiao, K. Rasul, R. Vollgraf, arXiv:1708.07747 (2017). torchvision's sub-folder is
    FashionMNIST/raw.
    """
    return _idx_set("fashion_mnist", root, "FashionMNIST", train, flat, dtype)


def _idx_set(
    name: str, root: str | Path, folder: str, train: bool, flat: bool, dtype: DTypeLike
) -> ArrayDataset:
    dtype = float_dtype(dtype)
    image_file, label_file = _find_pair(name, Path(root), folder, "train" if train else "t10k")
    images, labels = read_idx(image_file, dimensions=3), read_idx(label_file, dimensions=1)
    if len(images) != len(labels):
        raise DataError(
            f"{name}: {image_file} holds {len(images):,} images and {label_file} {len(labels):,} "
            "labels; expected one label an image. The two files are not of one set.",
            code="wrong-file",
        )
    if images.size == 0:
        raise DataError(
            f"{name}: {image_file} holds no images (shape {images.shape}).", code="empty-data"
        )
    if labels.max() > 9:
        where = int(np.argmax(labels > 9))
        raise DataError(
            f"{name}: {label_file} holds the label {labels[where]} (number {where}); expected 0 to "
            "9.",
            code="unexpected-labels",
        )
    return _image_set(images, labels, 255, flat, dtype)


def _find_pair(name: str, root: Path, folder: str, prefix: str) -> tuple[Path, Path]:
    """The images file and the labels file in `root` or below it, plain before gzipped."""
    if not root.is_dir():
        raise DataError(
            f"{name}: the folder {root} {'is a file' if root.exists() else 'does not exist'}.",
            code="missing-file",
        )
    places = [root, root / folder / "raw", root / "raw", root / folder]
    names = [f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"]
    found = [_first_file(places, file) for file in names]
    images, labels = found
    if images is not None and labels is not None:
        return images, labels
    missing = " nor ".join(
        f"{file}[.gz]" for file, path in zip(names, found, strict=True) if path is None
    )
    error = MissingFile if images is labels else DataError
    raise error(
        f"{name}: found no {missing} in any of these folders: {', '.join(map(str, places))}.",
        code="missing-file",
    )


def _first_file(places: list[Path], file: str) -> Path | None:
    candidates = (place / name for place in places for name in (file, f"{file}.gz"))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _image_set(
    images: np.ndarray, labels: np.ndarray, levels: int, flat: bool, dtype: DTypeLike
) -> ArrayDataset:
    n, height, width = images.shape
    scaled = np.divide(images, levels, dtype=float_dtype(dtype))
    shape = (n, height * width) if flat else (n, 1, height, width)
    return ArrayDataset(scaled.reshape(shape), labels.astype(np.int64))
