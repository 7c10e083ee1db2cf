"""Metrics against their definitions, written out the slow way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import metrics
from tinygrad_edu.errors import DtypeError, ShapeError

labels = st.integers(1, 40).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 4), min_size=n, max_size=n)] * 2)
)


@given(labels)
def test_the_confusion_matrix_counts_pairs(pair):
    predicted, true = pair
    matrix = metrics.confusion_matrix(predicted, true, 6)
    assert matrix.shape == (6, 6) and matrix.dtype == np.int64
    for i in range(6):
        for j in range(6):
            assert matrix[i, j] == sum(
                t == i and p == j for p, t in zip(predicted, true, strict=True)
            )
    assert metrics.accuracy(predicted, true) == pytest.approx(np.trace(matrix) / len(true))
    assert metrics.confusion_matrix(predicted, true).shape == (max(predicted + true) + 1,) * 2


@given(labels)
def test_precision_recall_and_f1_are_their_definitions(pair):
    predicted, true = (np.array(values) for values in pair)
    precisions, recalls, scores = [], [], []
    for c in sorted(set(predicted) | set(true)):
        hits = np.sum((predicted == c) & (true == c))
        precisions.append(hits / max(np.sum(predicted == c), 1))
        recalls.append(hits / max(np.sum(true == c), 1))
        total = precisions[-1] + recalls[-1]
        scores.append(2 * precisions[-1] * recalls[-1] / total if total else 0)
    assert metrics.precision(predicted, true) == pytest.approx(np.mean(precisions))
    assert metrics.recall(predicted, true) == pytest.approx(np.mean(recalls))
    assert metrics.f1(predicted, true) == pytest.approx(np.mean(scores))
    assert metrics.f1(predicted, true, average=None).shape == (
        max(predicted.max(), true.max()) + 1,
    )


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=30))
def test_the_area_under_the_curve_is_the_chance_that_a_positive_scores_higher(pairs):
    scores, true = (np.array(values) for values in zip(*pairs, strict=True))
    if true.all() or not true.any():
        with pytest.raises(ValueError, match="each at least once"):
            metrics.roc_auc(scores, true)
        return
    differences = scores[true][:, None] - scores[~true]
    assert metrics.roc_auc(scores, true) == pytest.approx(np.mean((np.sign(differences) + 1) / 2))
    alarms, hits, thresholds = metrics.roc_curve(scores[:, None].astype(float), true)
    assert (alarms[0], hits[0], thresholds[0]) == (0, 0, np.inf)
    assert (alarms[-1], hits[-1]) == (1, 1)
    for alarm, hit, threshold in zip(alarms, hits, thresholds, strict=True):
        assert alarm == pytest.approx(np.mean(scores[~true] >= threshold))
        assert hit == pytest.approx(np.mean(scores[true] >= threshold))


def test_every_form_of_the_same_predictions_gives_the_same_accuracy():
    true = np.array([0, 1, 1, 0])
    right = np.array([0, 1, 0, 0])
    scores = np.eye(2, dtype=np.float32)[right] * 5 - 2
    for predicted in (
        right,
        right.tolist(),
        right.astype(bool),
        right[:, None],
        scores,
        tg.Tensor(scores),
        (right - 0.5)[:, None],
    ):
        for target in (
            true,
            true[:, None],
            tg.Tensor(true),
            np.eye(2)[true],
            true[:, None].astype(np.float32),
            (2.0 * true - 1)[:, None],
        ):
            assert metrics.accuracy(predicted, target) == 0.75
    assert isinstance(metrics.accuracy(right, true), float)


def test_the_first_of_equal_scores_wins():
    assert metrics.accuracy(np.zeros((2, 3)), [0, 1]) == 0.5


@pytest.mark.parametrize(
    "metric",
    [metrics.accuracy, metrics.confusion_matrix, metrics.precision, metrics.recall, metrics.f1],
    ids=lambda metric: metric.__name__,
)
def test_what_cannot_be_measured_is_refused(metric):
    with pytest.raises(ValueError, match="empty"):
        metric(np.zeros(0, int), np.zeros(0, int))
    with pytest.raises(ShapeError, match="3 predictions and 2"):
        metric([0, 1, 1], [0, 1])
    with pytest.raises(DtypeError, match="probability > 0.5"):
        metric(np.array([0.2, 0.9]), [0, 1])
    with pytest.raises(ValueError, match=r"metrics=\(\) for a regression"):
        metric(np.array([[0.2], [0.9]]), np.array([[0.5], [3.0]]))
    with pytest.raises(ValueError, match="NaN"):
        metric(np.array([[0.2, np.nan]]), [0])
    with pytest.raises(ShapeError, match=r"shape \(2, 2, 2\)"):
        metric(np.zeros((2, 2, 2)), [0, 1])
    with pytest.raises(DtypeError, match="<U1"):
        metric(np.array(["a"]), [0])


def test_labels_outside_the_classes_are_refused():
    with pytest.raises(ValueError, match="label -1"):
        metrics.confusion_matrix([0, -1], [0, 1])
    with pytest.raises(ValueError, match="label 5; expected 0 to 2"):
        metrics.confusion_matrix([0, 5], [0, 1], 3)
    with pytest.raises(ValueError, match="macro"):
        metrics.f1([0], [0], average="micro")


def test_a_score_column_that_nobody_chose_still_has_a_row_and_a_column():
    assert metrics.confusion_matrix(np.array([[9.0, 0, 0]]), [0]).shape == (3, 3)
