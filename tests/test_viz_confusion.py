"""The confusion matrix and the ROC curve as pictures, and pictures as files."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import viz
from tinygrad_edu.errors import DataError, DtypeError, ShapeError

pytest.importorskip("matplotlib")


def test_a_confusion_matrix_shows_every_count_that_is_not_zero():
    matrix = tg.metrics.confusion_matrix([0, 1, 1, 2, 0], [0, 1, 2, 2, 0])
    ax = viz.confusion_matrix(matrix, labels=["cat", "dog", "owl"])
    shown = {(*text.get_position(), text.get_text()) for text in ax.texts}
    assert shown == {(0, 0, "2"), (1, 1, "1"), (1, 2, "1"), (2, 2, "1")}
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["cat", "dog", "owl"]
    np.testing.assert_array_equal(ax.images[0].get_array()[2], [0, 0.5, 0.5])
    assert ax.get_xlabel() == "predicted" and ax.get_ylabel() == "true"


def test_a_roc_curve_goes_through_the_points_and_names_its_area(rng):
    true = rng.integers(0, 2, 50)
    scores = true + rng.standard_normal(50)
    ax = viz.roc(scores, true, label="all", color="C1")
    x, y, _ = tg.metrics.roc_curve(scores, true)
    np.testing.assert_array_equal(ax.lines[1].get_xydata(), np.column_stack([x, y]))
    assert viz.roc(-scores, true, ax, label="upside down") is ax
    area = tg.metrics.roc_auc(scores, true)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == [f"all: area {area:.3f}", f"upside down: area {1 - area:.3f}"]
    assert len(ax.lines) == 3, "one diagonal for both curves"


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
def test_a_picture_goes_round_within_half_of_one_part_in_255(shape, rng, tmp_path):
    image = rng.random(shape)
    viz.save_image(tmp_path / "x.png", image)
    back = viz.read_image(tmp_path / "x.png")
    assert back.dtype == np.float32 and back.shape == shape
    assert np.abs(back - image).max() <= 0.5 / 255 + 1e-7


@pytest.mark.parametrize(
    "mode, value, expected",
    [
        ("1", 1, 1.0),
        ("LA", (51, 9), 0.2),
        ("P", 0, (0.0, 0.0, 0.0)),
        ("RGBA", (255, 51, 0, 9), (1.0, 0.2, 0.0)),
        ("I;16", 13107, 0.2),
    ],
)
def test_every_kind_of_png_is_grey_or_colour(mode, value, expected, tmp_path):
    from PIL import Image

    Image.new(mode, (3, 2), value).save(tmp_path / "x.png")
    back = viz.read_image(tmp_path / "x.png")
    np.testing.assert_allclose(
        back, np.broadcast_to(expected, (2, 3, *np.shape(expected))), rtol=2**-23
    )


def test_what_is_not_a_picture_is_refused(tmp_path):
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(DataError, match=r"text\.png is not a picture"):
        viz.read_image(tmp_path / "text.png")
    viz.save_image(tmp_path / "cut.png", np.ones((40, 40)))
    whole = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cut\.png"):
        viz.read_image(tmp_path / "cut.png")
    with pytest.raises(FileNotFoundError):
        viz.read_image(tmp_path / "absent.png")


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: viz.confusion_matrix(np.ones((2, 3))), ShapeError, r"\(2, 3\)"),
        (lambda: viz.confusion_matrix(np.eye(2), labels="abc"), ShapeError, "3 labels"),
        (lambda: viz.save_image("x.png", np.ones((2, 2, 4))), ShapeError, r"\(2, 2, 4\)"),
        (lambda: viz.save_image("x.png", np.ones((2, 2), np.uint8)), DtypeError, "uint8"),
        (lambda: viz.save_image("x.png", np.full((2, 2), np.nan)), ValueError, "NaN"),
        (lambda: viz.save_image("x.jpg", np.ones((2, 2))), ValueError, r"\.png"),
    ],
)
def test_errors_name_what_came(call, error, words):
    with pytest.raises(error, match=words):
        call()
