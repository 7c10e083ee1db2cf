"""The first neurons: what McCulloch and Pitts's unit computes, and when Rosenblatt's rule ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.errors import DataError, DtypeError, ShapeError
from tinygrad_edu.nn import McCullochPitts, Perceptron, novikoff_bound


@pytest.mark.parametrize(
    "neuron, gate",
    [
        (McCullochPitts(2, 2), lambda a, b: a and b),
        (McCullochPitts(2, 1), lambda a, b: a or b),
        (McCullochPitts(1, 0, inhibitory=[0]), lambda a: not a),
        (McCullochPitts(2, 0, inhibitory=[0, 1]), lambda a, b: not (a or b)),
        (McCullochPitts(3, 2), lambda *x: sum(x) >= 2),
        (McCullochPitts(5, 3), lambda *x: sum(x) >= 3),
        (McCullochPitts(2, 1, inhibitory=[1]), lambda a, b: a and not b),
        (McCullochPitts(2, 0), lambda a, b: True),
        (McCullochPitts(2, 3), lambda a, b: False),
    ],
    ids=["and", "or", "not", "nor", "majority of 3", "majority of 5", "and not", "always", "never"],
)
def test_one_neuron_is_a_gate(neuron, gate):
    for *inputs, output in neuron.truth_table().tolist():
        assert output == int(gate(*inputs))


def test_nand_and_xor_need_a_second_layer():
    """NAND is NOT of AND; XOR is OR and NAND: three neurons."""
    both, either, no = (
        McCullochPitts(2, 2),
        McCullochPitts(2, 1),
        McCullochPitts(1, 0, inhibitory=[0]),
    )
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    nand = no(both(x)[:, None])
    np.testing.assert_array_equal(nand, [1, 1, 1, 0])
    np.testing.assert_array_equal(both(np.stack([either(x), nand], axis=-1)), [0, 1, 1, 0])


@given(data=st.data(), n=st.integers(1, 6))
def test_one_active_inhibitory_input_silences_whatever_else_is_active(data, n):
    """Inhibition is absolute, and without it the neuron counts."""
    inhibitory = data.draw(st.sets(st.integers(0, n - 1)))
    threshold = data.draw(st.integers(0, n))
    x = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    excitation = sum(bool(x[i]) for i in range(n) if i not in inhibitory)
    expected = excitation >= threshold and not any(x[i] for i in inhibitory)
    assert McCullochPitts(n, threshold, inhibitory)(x).item() == int(expected)


@pytest.mark.parametrize(
    "bad", [[0, 2], [0.5, 1], [-1, 1], [np.nan, 0], ["a", "b"], [1j, 0], [None, 1]], ids=str
)
def test_what_is_not_boolean_is_refused(bad):
    with pytest.raises(DataError, match="Boolean"):
        McCullochPitts(2, 1)(np.array(bad))


def test_booleans_come_in_many_forms_and_leave_as_they_came():
    for x in ([True, False], np.array([1.0, 0.0]), np.array([1, 0], np.uint8)):
        assert McCullochPitts(2, 1)(x) == 1
    out = McCullochPitts(2, 1)(tg.tensor([[1, 0], [0, 0]]))
    assert isinstance(out, tg.Tensor) and out.tolist() == [1, 0]


def test_neurons_refuse_other_shapes_and_sizes():
    with pytest.raises(ShapeError, match=r"\(3,\).*\(\.\.\., 2\)"):
        McCullochPitts(2, 1)([0, 1, 1])
    for make, words in (
        (lambda: McCullochPitts(0, 1), "n_inputs"),
        (lambda: McCullochPitts(2, np.nan), "threshold"),
        (lambda: McCullochPitts(2, 1, [2]), "inhibitory"),
        (lambda: Perceptron(0), "n_features"),
    ):
        with pytest.raises(ValueError, match=words):
            make()


# ------------------------------------------------------------------------------------- Rosenblatt


@st.composite
def separable(draw):
    """Points, labels and a line that separates them with a drawn margin."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_features = draw(st.integers(1, 5))
    line, bias = rng.normal(size=n_features), rng.normal()
    points = rng.normal(size=(draw(st.integers(2, 40)), n_features)) * draw(
        st.sampled_from([0.1, 1.0, 30.0])
    )
    score = points @ line + bias
    kept = np.abs(score) > 0.05 * np.linalg.norm(line) * np.abs(points).max()
    assume(kept.any())
    return points[kept], (score[kept] > 0).astype(int), line, bias


@given(problem=separable(), lr=st.sampled_from([0.01, 1.0, 7.5]))
def test_the_perceptron_converges_within_novikoffs_bound(problem, lr):
    x, y, line, bias = problem
    bound = novikoff_bound(x, y, line, bias)
    neuron = Perceptron(x.shape[1])
    history = neuron.fit(x, y, max_epochs=int(bound) + 2, lr=lr)
    assert history.converged and history.updates <= bound
    assert history.mistakes[-1] == 0 and sum(history.mistakes) == history.updates
    np.testing.assert_array_equal(neuron.predict(x), y)
    np.testing.assert_array_equal(neuron(x), y)


@given(problem=separable())
def test_labels_of_either_kind_learn_the_same_line(problem):
    x, y, _, _ = problem
    zero_one, plus_minus = Perceptron(x.shape[1]), Perceptron(x.shape[1])
    zero_one.fit(x, y, max_epochs=50)
    plus_minus.fit(x, 2 * y - 1, max_epochs=50)
    np.testing.assert_array_equal(zero_one.weight.data, plus_minus.weight.data)
    np.testing.assert_array_equal(2 * zero_one.predict(x) - 1, plus_minus.predict(x))


def test_xor_does_not_converge():
    neuron = Perceptron(2)
    history = neuron.fit([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0], max_epochs=200)
    assert not history.converged and len(history.mistakes) == 200 and min(history.mistakes) > 0


def test_the_rule_is_rosenblatts():
    """Followed by hand: the first example is on the line (score 0), which counts as a mistake."""
    neuron = Perceptron(2)
    history = neuron.fit([[1.0, 2.0], [3.0, -1.0]], [1, -1], max_epochs=1, lr=0.5)
    assert history.mistakes == [2]
    np.testing.assert_array_equal(neuron.weight.data, [0.5 - 1.5, 1.0 + 0.5])
    assert neuron.bias.item() == 0.0


def test_fit_continues_from_the_present_weights():
    x, y = [[0.0, 0.0], [0, 1], [1, 0], [1, 1]], [0, 0, 0, 1]
    whole, parts = Perceptron(2), Perceptron(2)
    whole.fit(x, y, max_epochs=3)
    for _ in range(3):
        parts.fit(x, y, max_epochs=1)
    np.testing.assert_array_equal(whole.weight.data, parts.weight.data)
    assert whole.bias.item() == parts.bias.item()


@pytest.mark.parametrize(
    "x, y, error, words",
    [
        ([[1.0], [2.0]], [0, 2], DataError, "labels"),
        ([[1.0], [2.0]], [0, 1, 1], ShapeError, r"\(3,\)"),
        ([1.0], [1], ShapeError, r"\(N, 1\)"),
        ([[np.nan], [1]], [0, 1], DataError, "NaN"),
        ([["a"], ["b"]], [0, 1], DtypeError, "numbers"),
        (np.ones((0, 1)), np.ones(0), DataError, "no examples"),
        ([[1.0]], [0.5], DataError, "labels"),
        ([[np.inf], [0]], [0, 1], DataError, "infinity"),
    ],
)
def test_fit_refuses_what_it_cannot_learn_from(x, y, error, words):
    neuron = Perceptron(1)
    with pytest.raises(error, match=words):
        neuron.fit(x, y)
    assert neuron.weight.item() == 0


@pytest.mark.parametrize(
    "how", [{"lr": 0}, {"lr": np.nan}, {"lr": -1}, {"lr": np.inf}, {"max_epochs": 0}]
)
def test_fit_refuses_bad_numbers(how):
    with pytest.raises(ValueError, match=next(iter(how))):
        Perceptron(1).fit([[1.0]], [1], **how)


def test_novikoff_refuses_a_line_that_does_not_separate():
    with pytest.raises(DataError, match="separate"):
        novikoff_bound([[1.0], [2.0]], [1, 0], [1.0], 0.0)


def test_the_state_of_a_perceptron_is_saved():
    neuron = Perceptron(2)
    neuron.fit([[0, 1], [1, 0]], [0, 1])
    copy = Perceptron(2)
    copy.load_state_dict(neuron.state_dict())
    np.testing.assert_array_equal(copy.predict([[0, 1], [1, 0]]), [0, 1])
