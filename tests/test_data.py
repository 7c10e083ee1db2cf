"""Data sets, loaders and splits: what they hand out, and what they refuse."""

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.data import ArrayDataset, DataLoader, RandomShift, datasets, train_val_test_split
from tinygrad_edu.errors import DataError, DtypeError, ShapeError


def numbered(n):
    """A data set whose examples can be told apart and whose two arrays must stay in step."""
    return ArrayDataset(np.arange(n, dtype=np.float32)[:, None] * np.float32([1, 10]), np.arange(n))


# ------------------------------------------------------------------------------------- ArrayDataset


def test_every_index_keeps_the_rows_of_all_arrays_together():
    dataset = numbered(10)
    mask = np.arange(10) % 3 == 0
    for index in (
        3,
        -1,
        np.int64(4),
        slice(2, 9, 3),
        slice(None, None, -2),
        [7, 0, 7],
        np.array([-1, 2]),
        mask,
    ):
        rows, labels = dataset[index]
        np.testing.assert_array_equal(labels, np.arange(10)[index])
        np.testing.assert_array_equal(rows, dataset.arrays[0][index])
    assert [len(part) for part in dataset[[]]] == [0, 0]
    np.testing.assert_array_equal(dataset.subset(mask).arrays[1], [0, 3, 6, 9])
    np.testing.assert_array_equal(dataset.subset(5).arrays[1], [5])


@pytest.mark.parametrize(
    "index", [10, -11, [3, 10], 2.0, [1.5], "a", np.zeros((2, 2), int), np.ones(9, bool)]
)
def test_an_index_that_names_no_rows_is_refused(index):
    with pytest.raises(IndexError, match="ArrayDataset"):
        numbered(10)[index]


def test_a_data_set_can_be_iterated_as_a_sequence():
    assert [int(label) for _, label in numbered(4)] == [0, 1, 2, 3]


def test_dtypes_are_kept_and_python_floats_become_float32():
    dataset = ArrayDataset(
        np.zeros(2), np.zeros(2, np.uint8), [1.0, 2.0], [1, 2], tg.Tensor(np.ones(2, np.float32))
    )
    assert [array.dtype for array in dataset.arrays] == [
        np.float64,
        np.uint8,
        np.float32,
        np.int64,
        np.float32,
    ]


@pytest.mark.parametrize(
    ("arrays", "error", "words"),
    [
        ((), TypeError, "no arrays"),
        ((np.zeros(3), np.zeros(4)), ShapeError, r"\(3,\), \(4,\)"),
        ((1.0,), ShapeError, "single number"),
        (([[1, 2], [3]],), ShapeError, "different shapes"),
        ((np.array(["a"]),), DtypeError, "dtype <U1"),
        ((np.array([None]),), DtypeError, "dtype object"),
        ((np.zeros(2, np.float16),), DtypeError, "dtype float16"),
    ],
)
def test_arrays_that_are_no_data_set_are_refused(arrays, error, words):
    with pytest.raises(error, match=words):
        ArrayDataset(*arrays)


# --------------------------------------------------------------------------------------- DataLoader


@given(
    n=st.integers(0, 50),
    size=st.integers(1, 60),
    shuffle=st.booleans(),
    drop=st.booleans(),
    seed=st.integers(0, 9),
)
def test_a_pass_hands_out_each_example_once(n, size, shuffle, drop, seed):
    loader = DataLoader(numbered(n), size, shuffle, drop, rng=seed)
    batches = [(inputs.numpy(), labels.numpy()) for inputs, labels in loader]
    assert len(batches) == len(loader) == (n // size if drop else -(-n // size))
    assert all(len(labels) == size for _, labels in batches[: n // size])
    assert all(inputs.flags.c_contiguous and inputs.dtype == np.float32 for inputs, _ in batches)
    labels = np.concatenate([np.empty(0, int), *(labels for _, labels in batches)])
    assert labels.dtype.kind == "i"
    assert len(set(labels)) == len(labels) == (n // size * size if drop else n)
    for inputs, numbers in batches:
        np.testing.assert_array_equal(inputs[:, 1], 10 * numbers)
    if not shuffle:
        np.testing.assert_array_equal(labels, np.arange(len(labels)))


def passes(loader, count=2):
    return [[labels.numpy().tolist() for _, labels in loader] for _ in range(count)]


def test_a_seed_fixes_the_sequence_of_passes_and_each_pass_has_its_own_order():
    first, again = (passes(DataLoader(numbered(40), 7, shuffle=True, rng=3)) for _ in range(2))
    assert first == again
    assert first[0] != first[1]
    assert first != passes(DataLoader(numbered(40), 7, shuffle=True, rng=4))


def test_manual_seed_governs_a_loader_without_a_seed_of_its_own():
    loader = DataLoader(numbered(40), 7, shuffle=True)
    runs = []
    for _ in range(2):
        tg.manual_seed(5)
        runs.append(passes(loader))
    assert runs[0] == runs[1]


def test_batches_in_order_cannot_be_written_through():
    dataset = numbered(6)
    for inputs, _ in DataLoader(dataset, 4):
        assert not inputs.numpy().flags.writeable
    assert dataset.arrays[0].flags.writeable


@pytest.mark.parametrize(
    ("size", "error"), [(0, ValueError), (-1, ValueError), (2.5, TypeError), (True, ValueError)]
)
def test_a_batch_size_that_is_none_is_refused(size, error):
    with pytest.raises(error, match="batch_size"):
        DataLoader(numbered(3), size)


# -------------------------------------------------------------------------------------------- split


@given(
    n=st.integers(40, 300),
    classes=st.integers(1, 9),
    weights=st.tuples(*[st.integers(1, 9)] * 3),
    stratified=st.booleans(),
    seed=st.integers(0, 99),
)
def test_a_split_is_a_partition_of_the_asked_sizes(n, classes, weights, stratified, seed):
    fractions = [weight / sum(weights) for weight in weights]
    labels = np.random.default_rng(seed).integers(classes, size=n)
    parts = train_val_test_split(
        numbered(n), fractions, rng=seed, stratify=labels if stratified else None
    )
    numbers = [part.arrays[1] for part in parts]
    np.testing.assert_array_equal(np.sort(np.concatenate(numbers)), np.arange(n))
    for part, fraction in zip(numbers, fractions, strict=True):
        assert abs(len(part) - fraction * n) < 1
    if stratified:  # whole examples, and a cut that falls within one example of the asked place
        for label in range(classes):
            count = np.sum(labels == label)
            for part, fraction in zip(numbers, fractions, strict=True):
                assert (
                    abs(np.sum(labels[part] == label) - fraction * count)
                    <= 2 + 2 * (classes + 1) * count / n
                )


def test_stratifying_keeps_a_rare_class_in_every_part():
    labels = np.repeat([0, 1], [940, 60])
    for part in train_val_test_split(numbered(1000), rng=0, stratify=labels):
        assert np.mean(labels[part.arrays[1]]) == pytest.approx(0.06, abs=0.008)


def test_a_split_is_reproducible_and_random():
    first, again, other = (
        train_val_test_split(numbered(100), rng=seed)[0].arrays[1] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, np.sort(first))


def test_a_fraction_of_zero_gives_an_empty_part():
    assert [len(part) for part in train_val_test_split(numbered(10), (0.8, 0.2, 0), rng=0)] == [
        8,
        2,
        0,
    ]


@pytest.mark.parametrize(
    "fractions", [(0.5, 0.5), (0.5, 0.6, -0.1), (0.5, 0.2, 0.2), (float("nan"), 0.5, 0.5)]
)
def test_fractions_that_are_no_partition_are_refused(fractions):
    with pytest.raises(ValueError, match="sum to 1"):
        train_val_test_split(numbered(10), fractions)


def test_a_part_that_would_be_empty_is_refused():
    with pytest.raises(ValueError, match="too few"):
        train_val_test_split(numbered(3), rng=0)
    with pytest.raises(ShapeError, match="one class label an example"):
        train_val_test_split(numbered(30), rng=0, stratify=np.zeros(29, int))


# --------------------------------------------------------------------- digits, flowers and the toys


def test_the_bundled_digits_are_the_1797_of_the_uci_test_set():
    images, labels = datasets.digits()[:]
    assert (images.shape, images.dtype, labels.shape, labels.dtype) == (
        (1797, 64),
        np.float32,
        (1797,),
        np.int64,
    )
    assert (images.min(), images.max()) == (0, 1)
    np.testing.assert_array_equal(
        np.bincount(labels), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    )
    np.testing.assert_array_equal(labels[:12], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1])
    first_row_of_the_source = [0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0]
    np.testing.assert_array_equal(images[0, :16] * 16, first_row_of_the_source)
    assert (images * 16).sum(dtype=np.float64) == 561718  # every level of every image


def test_digits_can_be_images_of_one_channel_and_float64():
    images, _ = datasets.digits(flat=False, dtype=np.float64)[:]
    assert (images.shape, images.dtype) == ((1797, 1, 8, 8), np.float64)
    np.testing.assert_array_equal(images.reshape(-1, 64), datasets.digits()[:][0])
    with pytest.raises(DtypeError, match="int32"):
        datasets.digits(dtype=np.int32)


def test_the_bundled_flowers_are_fishers():
    """The means are those that Fisher printed in his table II."""
    flowers, species = datasets.iris(dtype=np.float64)[:]
    assert (flowers.shape, flowers.dtype, species.dtype) == ((150, 4), np.float64, np.int64)
    np.testing.assert_array_equal(species, np.repeat([0, 1, 2], 50))
    means = [flowers[species == kind].mean(axis=0) for kind in range(3)]
    np.testing.assert_allclose(means[0], [5.006, 3.428, 1.462, 0.246], atol=1e-12)
    np.testing.assert_allclose(means[1], [5.936, 2.770, 4.260, 1.326], atol=1e-12)
    np.testing.assert_allclose(means[2], [6.588, 2.974, 5.552, 2.026], atol=1e-12)
    np.testing.assert_array_equal(flowers[34], [4.9, 3.1, 1.5, 0.2])  # where UCI's file errs
    np.testing.assert_array_equal(flowers[37], [4.9, 3.6, 1.4, 0.1])
    assert datasets.iris()[:][0].dtype == np.float32
    with pytest.raises(DtypeError, match="int32"):
        datasets.iris(dtype=np.int32)


@pytest.mark.parametrize(
    "name, words",
    [("digits", ("10.24432/C50P49", "Alpaydin")), ("iris", ("10.24432/C56C76", "Fisher"))],
)
def test_bundled_data_carry_their_licence(name, words):
    from importlib import resources

    text = (
        resources.files("tinygrad_edu.data")
        .joinpath("files", f"LICENSE-{name}.txt")
        .read_text("utf-8")
    )
    assert "CC BY 4.0" in text and all(word in text for word in words)


TOYS = {
    datasets.moons: 2,
    datasets.circles: 2,
    datasets.spirals: 2,
    datasets.xor: 2,
    datasets.blobs: 3,
}


@pytest.mark.parametrize("draw", TOYS, ids=lambda draw: draw.__name__)
def test_toys_are_balanced_reproducible_and_refuse_nonsense(draw):
    points, labels = draw(101, rng=1)[:]
    assert (points.shape, points.dtype, labels.dtype) == ((101, 2), np.float32, np.int64)
    counts = np.bincount(labels)
    assert len(counts) == TOYS[draw] and counts.max() - counts.min() <= 1
    np.testing.assert_array_equal(points, draw(101, rng=np.random.default_rng(1))[:][0])
    assert not np.array_equal(points, draw(101, rng=2)[:][0])
    for n, noise in ((0, 0.1), (50, -1), (50, float("nan")), (50, float("inf"))):
        with pytest.raises(ValueError, match=draw.__name__):
            draw(n, noise)


def test_without_noise_the_toys_lie_where_they_are_said_to():
    points, labels = datasets.circles(50, 0, factor=0.25, rng=0, dtype=np.float64)[:]
    np.testing.assert_allclose(np.hypot(*points.T), np.where(labels == 0, 1, 0.25))
    points, labels = datasets.xor(50, 0, rng=0)[:]
    np.testing.assert_array_equal(points[:, 0] * points[:, 1] < 0, labels == 1)
    points, labels = datasets.moons(50, 0, rng=0, dtype=np.float64)[:]
    centres = np.where(labels[:, None] == 0, [0, 0], [1, 0.5])
    np.testing.assert_allclose(np.hypot(*(points - centres).T), 1)
    assert np.all((points[:, 1] >= 0) | (labels == 1))
    points, labels = datasets.blobs(9, 0, centers=4, rng=0, dtype=np.float64)[:]
    np.testing.assert_allclose(
        np.angle(points @ [1, 1j]) % (2 * np.pi), labels * np.pi / 2, atol=1e-12
    )
    points, labels = datasets.spirals(60, 0, classes=3, turns=2, rng=0, dtype=np.float64)[:]
    radius, angle = np.hypot(*points.T), np.angle(points @ [1, 1j])
    turn = (angle / (2 * np.pi) - labels / 3 - 2 * (radius - 0.1) / 0.9) % 1
    np.testing.assert_allclose(np.minimum(turn, 1 - turn), 0, atol=1e-9)


# ---------------------------------------------------------------------------------------------- IDX


def idx(array, code=0x08):
    """The bytes of an IDX file, written from the format's description and not with the package's
    code."""
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return (
        bytes([0, 0, code, array.ndim])
        + sizes
        + array.astype(array.dtype.newbyteorder(">")).tobytes()
    )


IMAGES = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
LABELS = np.array([3, 1, 4, 1, 5], np.uint8)


def lay_out(folder, images=None, labels=None, prefix="train", suffix=""):
    folder.mkdir(parents=True, exist_ok=True)
    pack = gzip.compress if suffix else bytes
    if images is not False:
        (folder / f"{prefix}-images-idx3-ubyte{suffix}").write_bytes(
            pack(idx(IMAGES) if images is None else images)
        )
    if labels is not False:
        (folder / f"{prefix}-labels-idx1-ubyte{suffix}").write_bytes(
            pack(idx(LABELS) if labels is None else labels)
        )
    return folder


@given(data=st.data())
def test_idx_round_trip(data, tmp_path_factory):
    codes = {0x08: "u1", 0x09: "i1", 0x0B: "i2", 0x0C: "i4", 0x0D: "f4", 0x0E: "f8"}
    code = data.draw(st.sampled_from(sorted(codes)))
    shape = tuple(data.draw(st.lists(st.integers(0, 4), max_size=4)))
    array = np.asarray(100 * np.random.default_rng(0).standard_normal(shape)).astype(codes[code])
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes(data.draw(st.sampled_from([bytes, gzip.compress]))(idx(array, code)))
    result = datasets.read_idx(path)
    assert result.dtype == array.dtype and result.dtype.isnative
    np.testing.assert_array_equal(result, array)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("folder", ["", "MNIST/raw", "raw", "MNIST"])
def test_mnist_is_found_plain_or_packed_and_below_the_root(tmp_path, folder, suffix):
    lay_out(tmp_path / folder, suffix=suffix)
    images, labels = datasets.mnist(tmp_path)[:]
    np.testing.assert_allclose(images * 255, IMAGES.reshape(5, 12), rtol=1e-6)
    np.testing.assert_array_equal(labels, LABELS)
    assert (images.dtype, labels.dtype) == (np.float32, np.int64)
    assert datasets.mnist(tmp_path, flat=False)[:][0].shape == (5, 1, 4, 3)


def test_the_test_files_and_fashion_mnist_have_their_own_places(tmp_path):
    lay_out(tmp_path / "FashionMNIST" / "raw", prefix="t10k", suffix=".gz")
    assert len(datasets.fashion_mnist(str(tmp_path), train=False)) == 5
    with pytest.raises(
        DataError, match=r"fashion_mnist: found no train-images.*nor train-labels.*FashionMNIST"
    ):
        datasets.fashion_mnist(tmp_path)


def test_an_unpacked_file_that_kept_its_gz_name_is_read_for_what_it_is(tmp_path):
    lay_out(tmp_path)
    for path in list(tmp_path.iterdir()):
        path.rename(f"{path}.gz")
    assert len(datasets.mnist(tmp_path)) == 5


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_every_truncation_and_every_addition_is_refused_by_name(tmp_path, pack):
    whole = pack(idx(IMAGES))
    path = tmp_path / "some-images"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="some-images"):
            datasets.read_idx(path, dimensions=3)
    for extra in (b"\0", b"x", b"more than one byte"):
        path.write_bytes(pack(idx(IMAGES) + extra))
        with pytest.raises(DataError, match="some-images.*60 bytes of data.*more"):
            datasets.read_idx(path, dimensions=3)


def test_every_damaged_byte_of_a_packed_file_is_refused_or_harmless(tmp_path):
    whole = gzip.compress(idx(IMAGES), mtime=0)
    path = tmp_path / "some-images"
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
        try:
            result = datasets.read_idx(path, dimensions=3)
        except DataError as error:
            assert "some-images" in str(error)
        else:  # in the gzip header: a date, a flag, the operating system
            assert position < 10
            np.testing.assert_array_equal(result, IMAGES)


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (idx(LABELS), None, r"images-idx3.*labels \(one dimension\).*2049.*expected images.*2051"),
        (
            None,
            idx(IMAGES),
            r"labels-idx1.*images \(three dimensions\).*2051.*expected labels.*2049",
        ),
        (None, idx(LABELS[:4]), "5 images.*4 labels"),
        (None, idx(LABELS + 5), "label 10.*number 4.*expected 0 to 9"),
        (idx(IMAGES.astype(np.int16), 0x0B), None, "int16.*expected images.*uint8"),
        (b"<!DOCTYPE html><html>", None, "not an IDX file.*<!DO"),
        (b"", None, "not an IDX file"),
        (b"\0\0\x08\x03" + b"\xff" * 12 + b"abc", None, "cut short"),
        (idx(IMAGES[:0]), idx(LABELS[:0]), "no images"),
    ],
    ids=[
        "labels-as-images",
        "images-as-labels",
        "counts",
        "label-10",
        "int16",
        "html",
        "empty",
        "absurd-size",
        "none",
    ],
)
def test_files_that_are_not_what_they_are_called_are_refused(tmp_path, images, labels, words):
    lay_out(tmp_path, images, labels)
    with pytest.raises(DataError, match=words):
        datasets.mnist(tmp_path)


def test_missing_files_are_named_with_the_places_looked_in(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        datasets.mnist(tmp_path / "nowhere")
    with pytest.raises(
        datasets.MissingFile, match="train-images-idx3-ubyte.*train-labels-idx1-ubyte"
    ) as caught:
        datasets.mnist(tmp_path)
    assert str(tmp_path / "MNIST" / "raw") in str(caught.value)
    lay_out(tmp_path, labels=False)
    with pytest.raises(DataError, match="found no train-labels-idx1-ubyte") as caught:
        datasets.mnist(tmp_path)
    assert not isinstance(caught.value, datasets.MissingFile)


# ------------------------------------------------------------------------------------- augmentation


def test_shifted_images_move_by_whole_points_and_zeros_move_in():
    from tinygrad_edu.data.augment import shifted

    images = IMAGES[:, None] + 1
    for down in (-2, -1, 0, 1, 2):
        for right in (-2, 0, 1):
            expected = np.zeros_like(images)
            for i in range(4):
                for j in range(3):
                    if 0 <= i - down < 4 and 0 <= j - right < 3:
                        expected[:, :, i, j] = images[:, :, i - down, j - right]
            np.testing.assert_array_equal(shifted(images, down, right), expected)


def test_random_shift_leaves_the_data_set_alone_and_draws_every_shift():
    dataset = datasets.digits()
    before = dataset.arrays[0].copy()
    moved = RandomShift(dataset, 1, rng=0)
    seen = {moved[[0]][0].tobytes() for _ in range(200)}
    assert len(seen) == 9
    np.testing.assert_array_equal(dataset.arrays[0], before)
    images, labels = next(iter(DataLoader(moved, 32, shuffle=True, rng=0)))
    assert images.shape == (32, 64) and labels.shape == (32,)


@pytest.mark.parametrize(
    ("shape", "pixels", "error"),
    [
        ((3, 12), 1, ShapeError),
        ((3, 9), 3, ValueError),
        ((3, 9), -1, ValueError),
        ((3, 3, 3), 1, ShapeError),
    ],
)
def test_random_shift_refuses_what_has_no_square_images(shape, pixels, error):
    with pytest.raises(error, match="RandomShift"):
        RandomShift(ArrayDataset(np.zeros(shape), np.zeros(3, int)), pixels)
