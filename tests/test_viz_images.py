"""Pictures of images: what is drawn is what was given, at its place, on one scale."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.errors import ShapeError

pytest.importorskip("matplotlib")

from tinygrad_edu import viz  # noqa: E402


def drawn(figure):
    """[(title, image, limits)] of the axes that show an image, in their order."""
    return [
        (ax.get_title(), np.asarray(ax.images[0].get_array()), ax.images[0].get_clim())
        for ax in figure.axes
        if ax.images
    ]


def test_image_grid_draws_each_image_under_its_title_on_one_scale():
    images = np.arange(5 * 6, dtype=np.float32).reshape(5, 1, 2, 3)
    figure = viz.image_grid(images, titles="abcde", columns=3)
    found = drawn(figure)
    assert [title for title, _, _ in found] == list("abcde")
    for (_, image, limits), expected in zip(found, images[:, 0]):
        np.testing.assert_array_equal(image, expected)
        assert limits == (0, 29)
    assert len(figure.axes) == 6 and not figure.axes[5].axison
    figure.canvas.draw()


def test_image_grid_takes_lists_tensors_colours_and_figures():
    figure = viz.new_figure((4, 4))
    assert viz.image_grid([np.eye(3), np.zeros((3, 3))], figure=figure) is figure
    colour = np.random.default_rng(0).random((2, 3, 4, 5))
    (_, image, _), _ = drawn(viz.image_grid(tg.Tensor(colour)))
    np.testing.assert_array_equal(image, np.moveaxis(colour[0], 0, -1))
    assert drawn(viz.image_grid(np.zeros((1, 2, 2)), limits=(-1, 2)))[0][2] == (-1, 2)


def test_image_grid_refuses_what_it_cannot_draw():
    for wrong in (np.zeros((4, 4)), np.zeros((2, 5, 4, 4)), np.zeros((0, 4, 4))):
        with pytest.raises(ShapeError, match="image_grid"):
            viz.image_grid(wrong)
    with pytest.raises(ValueError, match="3 titles for 2 images"):
        viz.image_grid(np.zeros((2, 4, 4)), "abc")


def test_filters_draws_every_kernel_white_at_zero():
    layer = nn.Conv2d(2, 3, (4, 5), rng=0)
    figure = viz.filters(layer, title="second convolution")
    found = [image for _, image, _ in drawn(figure)]
    largest = np.abs(layer.weight.data).max()
    for i, image in enumerate(found[:6]):  # row by row: channel, then filter; the last is the bar
        np.testing.assert_array_equal(image, layer.weight.data[i % 3, i // 3])
    assert drawn(figure)[0][2] == (-largest, largest)
    assert figure.get_suptitle() == "second convolution"
    viz.filters(np.zeros((1, 1, 2, 2))).canvas.draw()
    with pytest.raises(ShapeError, match=r"filters: the weight has shape \(4, 3\)"):
        viz.filters(nn.Linear(3, 4))


def test_feature_maps_are_the_outputs_of_the_layer():
    model = nn.LeNet5(rng=0)
    image = tg.rand(1, 28, 28)
    found = drawn(viz.feature_maps(model, image, "pool1", title="pooled"))
    padded = np.pad(image.data, ((0, 0), (2, 2), (2, 2)))[np.newaxis]
    expected = model.pool1(model.conv1(tg.Tensor(padded))).data[0]
    assert [title for title, _, _ in found] == list("123456")
    for (_, shown, limits), one in zip(found, expected):
        np.testing.assert_array_equal(shown, one)
        assert limits == (expected.min(), expected.max())
    with pytest.raises(KeyError, match="no layer 'conv3'; it ran conv1, pool1"):
        viz.feature_maps(model, image, "conv3")
    with pytest.raises(ShapeError, match="head returns shape"):
        viz.feature_maps(model, image, "head")


def test_images_of_several_shapes_are_refused_by_name():
    with pytest.raises(ShapeError, match=r"image_grid: .*\(2, 2\), \(3, 3\)"):
        viz.image_grid([np.zeros((2, 2)), np.zeros((3, 3))])
