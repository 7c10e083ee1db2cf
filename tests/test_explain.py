"""What explanations must satisfy: closed forms on linear models, completeness, and a model that is
left as it was found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import explain, nn
from tinygrad_edu.errors import DtypeError, GraphError, ShapeError
from tinygrad_edu.explain.ascent import resize

EPSILON = np.finfo(np.float64).eps


def linear(classes=3, features=6):
    return nn.Linear(features, classes, dtype=np.float64, rng=0)


def cnn(activation=nn.Tanh, dtype=np.float64):
    """Two convolutions over grey images, a norm and a dropout, which behave otherwise in training;
    ten classes for 8 x 8 points."""
    rng = np.random.default_rng(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, dtype=dtype, rng=rng),
        nn.BatchNorm2d(4, dtype=dtype),
        activation(),
        nn.Conv2d(4, 6, 3, dtype=dtype, rng=rng),
        activation(),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(6 * 6 * 6, 10, dtype=dtype, rng=rng),
    )


def state_of(model):
    """All that an explanation could have left behind: attributes, modes, numbers, gradients."""
    return (
        [sorted(vars(module).keys() - {"training"}) for _, module in model.named_modules()],
        [module.training for _, module in model.named_modules()],
        {name: array.tobytes() for name, array in model.state_dict().items()},
        [
            p.grad if p.grad is None else (id(p.grad), p.grad.data.tobytes())
            for p in model.parameters()
        ],
    )


# ---------------------------------------------------------------------------------- attributions


def test_the_saliency_of_a_linear_model_is_the_size_of_its_weights(rng):
    model, x = linear(), rng.standard_normal((5, 6))
    target = np.array([0, 2, 1, 1, 0])
    np.testing.assert_array_equal(
        explain.saliency(model, x, target), np.abs(model.weight.data)[target]
    )


def test_integrated_gradients_of_a_linear_model_are_exact_at_one_step(rng):
    """w * (x - baseline), whatever the steps: the gradient is the same all along the line."""
    model, x, baseline = linear(), rng.standard_normal(6), rng.standard_normal(6)
    expected = model.weight.data[1] * (x - baseline)
    for steps in (1, 7, 300):
        found = explain.integrated_gradients(model, x, 1, baseline, steps)
        np.testing.assert_allclose(found, expected, rtol=(steps + 4) * EPSILON)


def test_the_midpoint_rule_is_what_integrates(rng):
    """For the score x**3 the mean of 3 t**2 over midpoints is 1 - 1 / (4 steps**2), exactly."""
    model = nn.Sequential(lambda x: (x * x * x).sum(axis=1))
    x = rng.standard_normal((3, 1))
    for steps in (1, 4, 300):
        found = explain.integrated_gradients(model, x, steps=steps)
        np.testing.assert_allclose(found, x**3 * (1 - 1 / (4 * steps**2)), rtol=steps * EPSILON)


@pytest.mark.parametrize("batch", [False, True], ids=["one", "batch"])
def test_integrated_gradients_account_for_the_whole_score_of_a_smooth_network(batch, rng):
    """The gap falls with the square of the steps, which is the order of the midpoint rule."""
    x = rng.random((3, 1, 8, 8)) if batch else rng.random((1, 8, 8))
    target = [1, 0, 9] if batch else 4
    baseline = rng.random((1, 8, 8))
    model = cnn()
    gaps = []
    for steps in (8, 16, 32):
        found = explain.integrated_gradients(model, x, target, baseline, steps)
        assert found.shape == x.shape and found.dtype == x.dtype
        gaps.append(np.abs(explain.completeness_gap(model, x, target, found, baseline)))
    assert np.all(gaps[0] > 1e-9), "the gap must be seen, or its order cannot be"
    for coarse, fine in zip(gaps, gaps[1:]):  # 4, up to the next term of the expansion
        np.testing.assert_allclose(coarse / fine, 4, rtol=0.1)


def test_completeness_of_a_network_with_kinks_is_within_one_part_of_the_line(rng):
    """Along the line a relu network is linear in pieces; the midpoint rule errs only in the parts
    that hold a kink, by at most (largest - smallest slope) / steps for each."""
    model = nn.Sequential(nn.Linear(5, 9, dtype=np.float64, rng=0), nn.ReLU())
    model.layers.append(nn.Linear(9, 2, dtype=np.float64, rng=1))
    x, steps = rng.standard_normal((4, 5)), 50
    found = explain.integrated_gradients(model, x, 1, steps=steps)
    gap = explain.completeness_gap(model, x, 1, found)
    jumps = np.abs((x @ model.layers[0].weight.data.T) * model.layers[2].weight.data[1])
    assert np.all(np.abs(gap) <= jumps.sum(axis=1) / steps / 2 + 1e-14)


def test_the_gap_of_wrong_attributions_is_what_is_missing(rng):
    model, x = linear(), rng.standard_normal((2, 6))
    found = explain.integrated_gradients(model, x, 0, steps=1)
    found[1, 2] += 0.5
    gap = explain.completeness_gap(model, x, 0, found)
    np.testing.assert_allclose(gap, [0, 0.5], atol=20 * EPSILON)


@given(data=st.data())
def test_the_occlusion_of_a_linear_model_is_what_stands_in_the_window(data):
    """sum of w * (x - fill) within it, at every place of the window."""
    height, width, channels = (data.draw(st.integers(1, 6)) for _ in range(3))
    window = data.draw(st.tuples(st.integers(1, height), st.integers(1, width)))
    stride = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    # 2: the batch; channels = 1 or more
    x, fill = rng.random((2, channels, height, width)), rng.random((channels, 1, 1))
    weight = rng.standard_normal((channels, height, width))
    model = nn.Sequential(lambda x: (x * weight).sum(axis=(1, 2, 3)))
    found = explain.occlusion(model, x, None, window, stride, fill)
    share = (weight * (x - fill)).sum(axis=1)
    rows = range(0, height - window[0] + 1, stride[0])
    columns = range(0, width - window[1] + 1, stride[1])
    expected = [
        [share[:, i : i + window[0], j : j + window[1]].sum(axis=(1, 2)) for j in columns]
        for i in rows
    ]
    np.testing.assert_allclose(found, np.moveaxis(expected, 2, 0), atol=1e-13)


def test_occlusion_of_features_slides_along_them(rng):
    model, x = linear(), rng.standard_normal(6)
    found = explain.occlusion(model, x, 2, window=2, stride=2)
    expected = (model.weight.data[2] * x).reshape(3, 2).sum(axis=1)
    np.testing.assert_allclose(found, expected, atol=10 * EPSILON)


@pytest.mark.parametrize("method", ["saliency", "integrated_gradients", "occlusion"])
def test_one_image_is_a_batch_of_one_and_examples_do_not_meet(method, rng):
    """Each example of a batch is explained as if it were alone: also with a norm and a dropout."""
    explained, model = getattr(explain, method), cnn()
    x, target = rng.random((3, 1, 8, 8)), np.array([7, 0, 7])
    batch = explained(model, x, target)
    for i in range(3):
        one = explained(model, x[i], int(target[i]))
        np.testing.assert_allclose(one, batch[i], rtol=1e-9, atol=1e-12)
        grey = explained(model, x[i, 0], target[i])
        np.testing.assert_array_equal(grey, one.reshape(grey.shape))
    np.testing.assert_array_equal(explained(model, tg.tensor(x), target), batch)


def test_more_places_than_fit_a_batch_are_all_covered(rng):
    model = nn.Sequential(lambda x: x.sum(axis=1))
    x = rng.random((3, 700))
    np.testing.assert_allclose(explain.occlusion(model, x, window=1), x, atol=1e-12)
    np.testing.assert_allclose(explain.integrated_gradients(model, x, steps=200), x, rtol=1e-12)


# ------------------------------------------------------------------------------------ importance


def test_an_input_that_is_not_read_has_no_importance_and_one_that_decides_has_all(rng):
    x = rng.standard_normal((400, 3))
    y = (x[:, 1] > 0).astype(int)
    drops = explain.permutation_importance(
        lambda x: (x[:, 1] > 0).astype(int), x, y, repeats=20, rng=0
    )
    assert drops.shape == (3, 20)
    np.testing.assert_array_equal(drops[[0, 2]], 0)
    # A shuffled sign is right where two independent draws agree: the share of agreements.
    share = y.mean()
    expected = 1 - (share**2 + (1 - share) ** 2)
    # sd of one: sqrt(n p q) hits / n about 0.5 / sqrt(400); of the mean of 20, 0.0056
    assert abs(drops[1].mean() - expected) < 5 * 0.0056


def test_importance_takes_a_module_any_metric_and_images(rng):
    model = nn.Sequential(nn.Flatten(), linear(2, 4), nn.Dropout(0.5))
    model.layers[1].weight.data[:, 3] = 0
    x, before = rng.standard_normal((30, 1, 2, 2)), state_of(model)
    y = model.layers[1](x.reshape(30, 4)).data.copy()
    drops = explain.permutation_importance(
        model, x, y, lambda p, y: -float(np.mean((p - y) ** 2)), repeats=3, rng=1
    )
    assert drops.shape == (1, 2, 2, 3)
    assert np.all(drops[0, 1, 1] == 0) and np.all(drops.reshape(4, 3)[:3] > 0)
    assert state_of(model) == before


def test_shuffling_leaves_the_data_alone(rng):
    x, y = rng.standard_normal((10, 2)), rng.integers(0, 2, 10)
    kept = x.copy()
    explain.permutation_importance(lambda x: (x[:, 0] > 0).astype(int), x, y, rng=0)
    np.testing.assert_array_equal(x, kept)


# ---------------------------------------------------------------------------------- reading layers


def test_capture_by_path_and_by_module_gives_what_the_layer_put_out(rng):
    model = cnn()
    model.eval()
    x = tg.tensor(rng.random((2, 1, 8, 8)))
    with explain.capture(model, "layers.2") as by_path:
        with explain.capture(model, model.layers[2]) as by_module:
            model(x)
        expected = model.layers[2](model.layers[1](model.layers[0](x))).data
        np.testing.assert_array_equal(by_module.output.data, expected)
    assert by_path.output.requires_grad
    by_path.output.sum().backward()
    assert model.layers[0].weight.grad is not None


def test_capture_removes_its_hook_whatever_happens():
    model = cnn()
    before = state_of(model)
    with (
        pytest.raises(ShapeError),
        explain.capture(model, "layers.0"),
    ):
        model(tg.ones((1, 3, 8, 8)))
    assert state_of(model) == before


def test_a_layer_that_did_not_run_says_so():
    with explain.capture(cnn(), "layers.4") as seen, pytest.raises(GraphError, match="layers.4"):
        _ = seen.output


# ---------------------------------------------------------------------------------------- ascent


def test_maximising_a_linear_score_goes_to_the_corner_of_its_weights():
    """Within bounds the best image is 1 where the weight is positive and 0 elsewhere. A pixel moves
    lr * steps / 2 * |weight| / (root mean square of the weights) in all."""
    model = linear()
    w = np.abs(model.weight.data)
    slowest = (w.min(axis=1) / np.sqrt(np.mean(w * w, axis=1))).min()
    steps = int(np.ceil(2 / (0.05 * slowest)))
    found = explain.maximise(model, (3, 6), np.arange(3), steps=steps, lr=0.05, rng=0)
    np.testing.assert_array_equal(found, (model.weight.data > 0).astype(float))


def test_the_regularisers_are_what_they_say():
    """score - l2 |x|**2 has its top at w / (2 l2); total variation alone makes an image flat."""
    model = linear()
    found = explain.maximise(model, np.zeros(6), 1, steps=2000, lr=0.01, l2=0.5, bounds=None)
    # steps of fixed length come to rest within the length of the last ones
    np.testing.assert_allclose(found, model.weight.data[1], atol=0.01)
    flat = nn.Sequential(lambda x: 0 * x.sum(axis=(1, 2, 3)))
    start = np.random.default_rng(0).random((1, 1, 6, 6))
    found = explain.maximise(flat, start, total_variation=1.0, steps=500, lr=0.02)
    assert found.std() < start.std() / 10
    np.testing.assert_allclose(found.mean(), start.mean(), atol=0.02)


@pytest.mark.parametrize("jitter", [0, 2])
def test_each_class_gets_an_image_that_scores_higher(jitter):
    model = cnn(dtype=np.float32)
    options = {"steps": 20, "lr": 0.05, "jitter": jitter, "total_variation": 0.01, "l2": 0.01}
    images = explain.maximise(model, (10, 1, 8, 8), np.arange(10), rng=3, **options)
    assert images.dtype == np.float32 and images.min() >= 0 and images.max() <= 1
    model.eval()
    shifts = [(i, j) for i in range(-jitter, jitter + 1) for j in range(-jitter, jitter + 1)]
    moved = np.mean([model(np.roll(images, by, axis=(2, 3))).data for by in shifts], axis=0)
    grey = model(np.full((1, 1, 8, 8), 0.5, np.float32)).data[0]
    assert np.all(np.diag(moved) > grey)
    assert jitter or np.all(moved.argmax(axis=0) == np.arange(10))
    again = explain.maximise(model, (10, 1, 8, 8), np.arange(10), rng=3, **options)
    np.testing.assert_array_equal(images, again)


@pytest.mark.parametrize("layer, channel", [("layers.4", None), ("layers.4", 2), ("layers.0", 1)])
def test_a_dream_raises_the_activation(layer, channel, rng):
    """At every octave and in all, and it is the activation of that layer that was raised."""
    model = cnn(nn.ReLU, np.float32)
    image = rng.random((20, 24)).astype(np.float32)
    found = explain.dream(model, image, layer, channel, octaves=3, steps=8, rng=0)
    assert found.image.shape == image.shape and found.image.dtype == image.dtype
    assert [octave.size for octave in found.history] == [(10, 12), (14, 17), (20, 24)]
    assert all(octave.after > octave.before for octave in found.history)
    assert found.after > found.before
    model.eval()
    for given_image, stated in ((image, found.before), (found.image, found.after)):
        out = tg.tensor(given_image.reshape(1, 1, 20, 24))
        for part in model.layers[: int(layer[-1]) + 1]:
            out = part(out)
        out = out.data
        measured = np.mean(out**2) if channel is None else np.mean(out[:, channel])
        np.testing.assert_allclose(stated, measured, rtol=1e-4)


def test_a_dream_is_repeatable_by_rng_and_jitter_matters(rng):
    model, image = cnn(), rng.random((12, 12))
    made = [
        explain.dream(model, image, "layers.4", octaves=2, steps=3, rng=seed).image
        for seed in (5, 5, 6)
    ]
    np.testing.assert_array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])


def test_a_step_of_a_dream_is_the_normalised_gradient(rng):
    """One octave, one step, no jitter, against the gradient of the layer written out."""
    model, image = cnn(), rng.random((9, 9))
    found = explain.dream(
        model, image, "layers.0", octaves=1, steps=1, lr=0.01, jitter=0, bounds=None
    )
    g = tg.grad(lambda x: (model.layers[0](x) ** 2).mean())(image.reshape(1, 1, 9, 9))[0, 0]
    np.testing.assert_allclose(found.image, image + 0.01 * g / np.sqrt(np.mean(g * g)), rtol=1e-12)


def test_an_octave_starts_from_the_image_with_the_enlarged_change_of_the_one_before(rng):
    """Two octaves of one step each, written out for the activation mean(x**2), whose normalised
    gradient is x / root mean square(x)."""
    model, image = nn.Sequential(nn.ReLU()), rng.random((8, 12))
    found = explain.dream(
        model, image, "layers.0", octaves=2, octave_scale=2, steps=1, lr=0.1, jitter=0, bounds=None
    )
    small = resize(image, (4, 6))
    change = 0.1 * small / np.sqrt(np.mean(small**2))
    start = image + resize(change, (8, 12))
    expected = start + 0.1 * start / np.sqrt(np.mean(start**2))
    np.testing.assert_allclose(found.history[0].image, small + change, rtol=1e-13)
    np.testing.assert_allclose(found.history[1].before, np.mean(start**2), rtol=1e-13)
    np.testing.assert_allclose(found.image, expected, rtol=1e-13)


def test_what_jitter_moves_it_moves_back(rng):
    """Where every pixel is excited alike, it makes no difference where the image lies."""
    model, image = nn.Sequential(nn.ReLU()), rng.random((7, 9))
    still, moved = (
        explain.dream(model, image, "layers.0", octaves=1, jitter=j, lr=0.01, rng=0).image
        for j in (0, 3)
    )
    np.testing.assert_allclose(moved, still, rtol=1e-13)


def test_a_dream_with_nothing_to_see_changes_nothing():
    """A dead relu has no gradient: no division by its size."""
    model = cnn(nn.ReLU)
    model.layers[3].bias.data[...] = -100
    image = np.full((9, 9), 0.5)
    found = explain.dream(model, image, "layers.4", octaves=1, jitter=0)
    np.testing.assert_array_equal(found.image, image)


@pytest.mark.parametrize("shape", [(3, 12, 10), (12, 10, 3)])
def test_colour_comes_back_in_the_layout_it_was_given(shape, rng):
    model = nn.Sequential(nn.Conv2d(3, 2, 3, rng=0), nn.ReLU())
    image = rng.random(shape).astype(np.float32)
    found = explain.dream(model, image, "layers.1", octaves=2, steps=2, rng=0)
    assert found.image.shape == shape and found.history[0].image.ndim == 3
    other = np.moveaxis(image, 0, 2) if shape[0] == 3 else np.moveaxis(image, 2, 0)
    also = explain.dream(model, other, "layers.1", octaves=2, steps=2, rng=0).image
    back = np.moveaxis(also, 2, 0) if shape[0] == 3 else np.moveaxis(also, 0, 2)
    np.testing.assert_array_equal(found.image, back)


def test_resizing_keeps_constants_and_ramps(rng):
    np.testing.assert_allclose(resize(np.full((2, 5, 7), 0.3), (9, 4)), 0.3, rtol=1e-14)
    ramp = np.arange(12.0)[np.newaxis].repeat(6, axis=0)
    larger = resize(ramp, (6, 24))[:, 2:-2]  # away from the border it is linear interpolation
    np.testing.assert_allclose(larger, np.broadcast_to(np.arange(24) / 2 - 0.25, (6, 24))[:, 2:-2])
    stripes = np.tile([0.0, 1.0], (6, 15))
    shrunk = resize(stripes, (6, 10))[:, 1:-1]  # finer than the new grid: they become grey
    # a triangle six old pixels wide, weights 1 2 3 2 1 of 9, over stripes: 4/9 or 5/9
    np.testing.assert_allclose(np.abs(shrunk - 0.5), 1 / 18, rtol=1e-12)
    x = rng.random((4, 4))
    assert resize(x, (4, 4)) is x


# --------------------------------------------------------------------- the model is left as it was


@pytest.mark.parametrize(
    "explained",
    [
        lambda m, x: explain.saliency(m, x, 1),
        lambda m, x: explain.integrated_gradients(m, x, 1, steps=3),
        lambda m, x: explain.completeness_gap(m, x, 1, x),
        lambda m, x: explain.occlusion(m, x, 1),
        lambda m, x: explain.maximise(m, x, 1, steps=2, jitter=1, rng=0),
        lambda m, x: explain.dream(m, x[0], "layers.4", octaves=1, steps=2, rng=0),
        lambda m, x: explain.saliency(m, x, 99),
        lambda m, x: explain.dream(m, x[0], "layers.4", channel=99, octaves=1, steps=2),
    ],
    ids=["saliency", "ig", "gap", "occlusion", "maximise", "dream", "bad target", "bad channel"],
)
@pytest.mark.parametrize("silent", [False, True], ids=["recording", "no_grad"])
def test_modes_hooks_numbers_and_gradients_stay(explained, silent, rng):
    model = cnn()
    model.layers[1].training = False  # one layer in another mode than the rest
    model.layers[0].weight.grad = tg.ones((4, 1, 3, 3), dtype=np.float64)
    before, x = state_of(model), rng.random((2, 1, 8, 8))
    kept = x.copy()
    try:
        if silent:
            with tg.no_grad():
                explained(model, x)
        else:
            explained(model, x)
    except ValueError as error:
        assert "99" in str(error)  # noqa: PT017
    assert state_of(model) == before
    np.testing.assert_array_equal(x, kept)


# ---------------------------------------------------------------------------------------- errors

IMAGE = np.full((9, 9), 0.5)


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda m: explain.dream(m, IMAGE, "layers.99"), ValueError, r"layers\.3 \(Conv2d\)"),
        (lambda m: explain.dream(m, IMAGE, nn.ReLU()), ValueError, "no layer ReLU"),
        (lambda m: explain.dream(m, IMAGE, "layers.4", 6), ValueError, "channels 0 to 5"),
        (lambda m: explain.dream(m, IMAGE, "layers.4", -1), ValueError, "channels 0 to 5"),
        (lambda m: explain.dream(m, IMAGE, "layers.4", 0.5), ValueError, "channels 0 to 5"),
        (lambda m: explain.dream(m, IMAGE, "layers.4", steps=0), ValueError, "steps is 0"),
        (lambda m: explain.dream(m, IMAGE, "layers.4", octaves=0), ValueError, "octaves is 0"),
        (lambda m: explain.dream(m, IMAGE, "layers.4", octaves=99), ValueError, "fewer octaves"),
        (lambda m: explain.dream(m, IMAGE, "layers.4", octave_scale=1), ValueError, "above 1"),
        (lambda m: explain.dream(m, IMAGE, "layers.4", lr=np.nan), ValueError, "lr=nan"),
        (lambda m: explain.dream(m, IMAGE, "layers.4", jitter=-1), ValueError, "jitter is -1"),
        (lambda m: explain.dream(m, IMAGE * 300, "layers.4"), ValueError, "150 to 150.*/ 255"),
        (lambda m: explain.dream(m, IMAGE * np.nan, "layers.4"), ValueError, "nan to nan"),
        (lambda m: explain.dream(m, IMAGE, "layers.4", bounds=(1, 0)), ValueError, "lowest"),
        (lambda m: explain.maximise(m, (1, 8, 8), 1, bounds=1), ValueError, "bounds=1"),
        (lambda m: explain.dream(m, np.ones((9, 9), np.uint8), "layers.4"), DtypeError, "/ 255"),
        (lambda m: explain.dream(m, np.ones((9, 9, 3)), "layers.4"), ShapeError, "mean"),
        (lambda m: explain.dream(m, IMAGE, "layers.7"), ShapeError, r"layers\.7"),
        (lambda m: explain.dream(abs, IMAGE, "layers.7"), TypeError, "Module"),
        (lambda m: explain.saliency(m, np.ones((8, 8)), 10), ValueError, "10 classes, 0 to 9"),
        (lambda m: explain.saliency(m, np.ones((8, 8)), -1), ValueError, "target is -1"),
        (lambda m: explain.saliency(m, np.ones((8, 8))), ShapeError, "target="),
        (lambda m: explain.saliency(m, np.ones((8, 8)), [1, 2]), ShapeError, r"\(1,\)"),
        (lambda m: explain.saliency(m, np.ones((8, 8)), 1.0), ShapeError, "float"),
        (lambda m: explain.saliency(m, np.ones((8, 8), int), 1), DtypeError, "int64"),
        (lambda m: explain.saliency(m, np.ones((2, 1, 1, 8, 8)), 1), ShapeError, "N, C, H, W"),
        (lambda m: explain.saliency(m, np.ones((0, 1, 8, 8)), 1), ShapeError, "empty"),
        (lambda m: explain.saliency(abs, np.ones((8, 8)), 1), TypeError, "Module"),
        (lambda m: explain.saliency(nn.Conv2d(1, 1, 3), np.ones((8, 8)), 1), ShapeError, "scores"),
        (lambda m: explain.integrated_gradients(m, IMAGE, 1, steps=0), ValueError, "steps is 0"),
        (lambda m: explain.integrated_gradients(m, IMAGE, 1, np.ones(5)), ShapeError, "baseline"),
        (lambda m: explain.completeness_gap(m, IMAGE, 1, np.ones(5)), ShapeError, "attributions"),
        (lambda m: explain.occlusion(m, np.ones((8, 8)), 1, 9), ValueError, "larger than"),
        (lambda m: explain.occlusion(m, np.ones((8, 8)), 1, stride=0), ValueError, "stride=0"),
        (lambda m: explain.occlusion(linear(), np.ones(6), 1, (2, 3)), ValueError, "pair"),
        (lambda m: explain.maximise(m, (1, 8, 8), 1, steps=0), ValueError, "steps is 0"),
        (lambda m: explain.maximise(m, (0.5, 0.5), 1), ValueError, "a tuple is a shape"),
        (lambda m: explain.maximise(m, (1, 8, 8), 1, lr=0), ValueError, "lr=0"),
        (lambda m: explain.maximise(m, (1, 8, 8), 1, l2=-1), ValueError, "l2=-1"),
        (lambda m: explain.maximise(linear(), (6,), 1, jitter=1), ValueError, "height and width"),
        (
            lambda m: explain.permutation_importance(abs, np.ones((3, 2)), np.ones(2)),
            ShapeError,
            r"\(3, 2\)",
        ),
        (
            lambda m: explain.permutation_importance(m, IMAGE, IMAGE, repeats=0),
            ValueError,
            "repeats is 0",
        ),
    ],
)
def test_errors_name_what_came_and_what_to_do(call, error, words):
    with pytest.raises(error, match=words):
        call(cnn())
