"""scikit-learn: the perceptron, the metrics, distances on a sphere, and an MLP's loss and gradient.

Its public functions only. An MLP's gradient is read off one step of plain gradient descent.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import oracle

import tinygrad_edu as tg
from tinygrad_edu import distances, metrics

sklearn = oracle("sklearn")

from sklearn import datasets, linear_model, neural_network  # noqa: E402
from sklearn import metrics as theirs  # noqa: E402

# --------------------------------------------------------------------------------------- perceptron


def iris(first, second):
    """Two species, measured in millimetres: whole numbers, so that sums are exact."""
    data = datasets.load_iris()
    chosen = np.isin(data.target, (first, second))
    return np.rint(10 * data.data[chosen]), (data.target[chosen] == second).astype(int)


def rosenblatt(points, labels, epochs):
    """The rule as it is taught: see an example, and if it is on the wrong side, add it."""
    weight, bias, mistakes = [0.0] * points.shape[1], 0.0, []
    for _ in range(epochs):
        mistakes.append(0)
        for point, label in zip(points.tolist(), labels.tolist()):
            sign = 1 if label else -1
            if sign * (sum(w * x for w, x in zip(weight, point)) + bias) <= 0:
                weight = [w + sign * x for w, x in zip(weight, point)]
                bias += sign
                mistakes[-1] += 1
        if not mistakes[-1]:
            break
    return weight, bias, mistakes


@pytest.mark.parametrize("species", [(0, 1), (0, 2), (1, 2)])
@pytest.mark.parametrize("epochs", [1, 2, 7, 40])
def test_perceptron_learns_the_same_weights(species, epochs):
    """Two of the three pairs of species are separable, one is not; bit for bit in each case."""
    points, labels = iris(*species)
    ours = tg.nn.Perceptron(4)
    history = ours.fit(points, labels, max_epochs=epochs)
    other = linear_model.Perceptron(shuffle=False, tol=None, max_iter=epochs)
    other.fit(points, labels)
    weight, bias, mistakes = rosenblatt(points, labels, epochs)
    assert history.mistakes == mistakes
    for found in (other.coef_[0], np.array(weight)):
        np.testing.assert_array_equal(ours.weight.data, found)
    assert ours.bias.item() == other.intercept_.item() == bias
    on_the_line = ours.decision(points) == 0  # where ours fires and scikit-learn's does not
    agree = ours.predict(points) == other.predict(points)
    assert (agree | on_the_line).all() and not on_the_line.all()


# ------------------------------------------------------------------------------------------ metrics

labels = st.integers(1, 40).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 4), min_size=n, max_size=n)] * 2)
)
# Few scores, so that many are equal; both classes occur.
scored = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=40).filter(
    lambda pairs: len({label for _, label in pairs}) == 2
)


# Where all examples are of one class, scikit-learn asks for the labels that it was given.
@pytest.mark.filterwarnings("ignore:A single label was found:UserWarning")
@given(labels)
def test_counts_are_sklearns(pair):
    predicted, true = pair
    classes = range(max(predicted + true) + 1)
    matrix = theirs.confusion_matrix(true, predicted, labels=classes)
    np.testing.assert_array_equal(metrics.confusion_matrix(predicted, true), matrix)
    exact = {"rel": 1e-15, "abs": 1e-15}
    assert metrics.accuracy(predicted, true) == theirs.accuracy_score(true, predicted)
    for ours, other in (
        (metrics.precision, theirs.precision_score),
        (metrics.recall, theirs.recall_score),
        (metrics.f1, theirs.f1_score),
    ):
        how = {"zero_division": 0}
        assert ours(predicted, true) == pytest.approx(
            other(true, predicted, average="macro", **how), **exact
        )
        assert ours(predicted, true, average=None) == pytest.approx(
            other(true, predicted, labels=classes, average=None, **how), **exact
        )


@given(scored)
def test_roc_is_sklearns(pairs):
    scores, true = (np.array(values) for values in zip(*pairs))
    wanted = theirs.roc_curve(true, scores, drop_intermediate=False)
    for ours, other in zip(metrics.roc_curve(scores.astype(float), true), wanted, strict=True):
        np.testing.assert_array_equal(ours, other)
    area = theirs.roc_auc_score(true, scores)
    assert metrics.roc_auc(scores, true) == pytest.approx(area, rel=1e-14)


# ---------------------------------------------------------------------------------------- distances


@given(seed=st.integers(0, 2**32 - 1))
def test_great_circle_is_the_haversine_distance(seed):
    """All pairs of drawn places. An arcsin, which scikit-learn takes of the root of h, multiplies
    the rounding by 1 / sqrt(1 - h): near the antipode it loses what ours keeps."""
    rng = np.random.default_rng(seed)
    a, b = (rng.uniform((-np.pi / 2, -np.pi), (np.pi / 2, np.pi), (n, 2)) for n in (5, 4))
    wanted = theirs.pairwise.haversine_distances(a, b)
    ours = distances.great_circle(a[:, None], b[None], degrees=False, radius=1.0)
    rounding = 16 * np.finfo(np.float64).eps
    assert (np.abs(ours - wanted) <= rounding * (1 + 1 / np.cos(wanted / 2))).all()
    north, east = np.degrees(a), np.degrees(b)
    in_degrees = distances.great_circle(north[:, None], east[None], radius=1.0)
    assert (np.abs(in_degrees - wanted) <= 2 * rounding * (1 + 1 / np.cos(wanted / 2))).all()


# ---------------------------------------------------------------------------------------------- MLP


def stepped(other, *batch, **first):
    """(loss, weights and biases before, their gradients) of one step of gradient descent with lr 1.

    The first call of partial_fit draws the weights; the second is the step that is looked at.
    """
    other.set_params(
        solver="sgd", learning_rate_init=1.0, momentum=0.0, nesterovs_momentum=False, alpha=0.0,
        batch_size=len(batch[0]), shuffle=False, random_state=0,
    )  # fmt: skip
    other.partial_fit(*batch, **first)
    before = [x.copy() for x in (*other.coefs_, *other.intercepts_)]
    other.partial_fit(*batch)
    after = (*other.coefs_, *other.intercepts_)
    return other.loss_, before, [old - new for old, new in zip(before, after)]


def compare_mlp(other, activation, loss, x, y, **first):
    """Loss and gradients of ours at scikit-learn's weights, whose matrices are ours transposed.

    A gradient is a difference of weights there, so it has the rounding of the weights.
    """
    wanted, before, gradients = stepped(other, x, y, **first)
    n = len(other.coefs_)
    model = tg.nn.MLP(x.shape[1], [w.shape[1] for w in other.coefs_], activation, dtype=np.float64)
    for layer, weight, bias in zip(model.layers, before[:n], before[n:]):
        layer.weight.data[...], layer.bias.data[...] = weight.T, bias
    value = loss(model(tg.Tensor(x)), y)
    value.backward()
    assert value.item() == pytest.approx(wanted, rel=1e-13)
    tolerance = 64 * np.finfo(np.float64).eps * max(1.0, *(np.abs(x).max() for x in before))
    for layer, weight, bias in zip(model.layers, gradients[:n], gradients[n:]):
        np.testing.assert_allclose(layer.weight.grad.data, weight.T, rtol=0, atol=tolerance)
        np.testing.assert_allclose(layer.bias.grad.data, bias, rtol=0, atol=tolerance)


ACTIVATIONS = {"relu": "relu", "tanh": "tanh", "logistic": "sigmoid"}  # theirs: ours


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_mlp_classifier(activation, n_classes, rng):
    """Of three classes the cross-entropy of a softmax, of two that of one sigmoid."""
    x, y = rng.normal(size=(30, 4)), np.arange(30) % n_classes

    def loss(out, y):
        if n_classes > 2:
            return tg.nn.functional.cross_entropy(out, y)
        truth = y[:, None].astype(float)
        return tg.nn.functional.binary_cross_entropy_with_logits(out, truth)

    other = neural_network.MLPClassifier(hidden_layer_sizes=(6, 5), activation=activation)
    compare_mlp(other, ACTIVATIONS[activation], loss, x, y, classes=range(n_classes))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_mlp_regressor(activation, rng):
    """Half the mean square, as scikit-learn has it."""
    x, y = rng.normal(size=(30, 4)), rng.normal(size=30)

    def loss(out, y):
        return 0.5 * tg.nn.functional.mse_loss(out, y[:, None])

    other = neural_network.MLPRegressor(hidden_layer_sizes=(6, 5), activation=activation)
    compare_mlp(other, ACTIVATIONS[activation], loss, x, y)
