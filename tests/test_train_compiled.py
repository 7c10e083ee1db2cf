"""fit with a compiled step: the figures of Python's, whatever is trained and however it ends."""

import os
import signal

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.data import ArrayDataset, DataLoader, RandomShift, datasets
from tinygrad_edu.errors import AnomalyError, CompileError
from tinygrad_edu.graph import open_trace
from tinygrad_edu.kernels import info
from tinygrad_edu.train import fit, steps

cross_entropy = nn.functional.cross_entropy
needs_kernels = pytest.mark.skipif(info()["kernels"] != "c", reason="programs need the C kernels")
needs_signals = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")


def moons(n=200):
    return datasets.moons(n, 0.1, rng=0)


def images(n=40):
    rng = np.random.default_rng(0)
    return ArrayDataset(rng.random((n, 1, 28, 28), np.float32), np.arange(n) % 10)


def mlp(dtype=np.float32):
    return nn.MLP(2, [16, 2], dtype=dtype)


def dropout():
    return nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 2))


def batch_norm():
    return nn.Sequential(nn.Linear(2, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Linear(16, 2))


def adam(parameters):
    return tg.optim.Adam(parameters, lr=0.01)


def sgd(parameters):
    return tg.optim.SGD(parameters, lr=0.1, momentum=0.9)


def trained(model, optimizer, data, compile, **options):
    """(weights, history) of a fit that is the same for the same arguments."""
    tg.manual_seed(3)
    model = model()
    optimizer = optimizer(model.parameters())
    options = {"epochs": 3, "val": data, **options}
    history = fit(model, cross_entropy, optimizer, data, compile=compile, **options)
    return model.state_dict(), history


def assert_same(here, there):
    """Equal to the last bit: a program makes the calls that eager mode makes."""
    assert list(here) == list(there)
    for name, array in here.items():
        np.testing.assert_array_equal(array, there[name], err_msg=name)


@needs_kernels
@pytest.mark.parametrize("optimizer", [sgd, adam])
@pytest.mark.parametrize("model", [mlp, dropout, batch_norm])
def test_a_compiled_fit_has_the_weights_and_the_figures_of_an_eager_one(model, optimizer):
    """200 examples: six full batches and one of eight, three times."""
    weights, history = trained(model, optimizer, moons(), None)
    expected, eager = trained(model, optimizer, moons(), False)
    assert history.eager_because is None and eager.eager_because == steps.NOT_ASKED
    assert_same(weights, expected)
    del history.series["seconds"], eager.series["seconds"]
    assert history.series == eager.series


@needs_kernels
def test_a_compiled_fit_of_lenet_is_the_eager_one():
    options = {"epochs": 2, "batch_size": 16}
    weights, history = trained(nn.LeNet5, sgd, images(), None, **options)
    expected, eager = trained(nn.LeNet5, sgd, images(), False, **options)
    assert history.eager_because is None
    assert_same(weights, expected)
    assert history.train_loss == eager.train_loss


@needs_kernels
@pytest.mark.parametrize("order", ["as they stand", "shuffled", "without the rest", "too few"])
def test_each_row_is_seen_in_the_order_of_the_loader(order):
    """The sum of the inputs that a batch had, batch by batch, from the outputs of a model that is
    not trained: exact, so nothing is hidden by a tolerance."""
    n = 20 if order == "too few" else 200
    numbers = np.arange(float(n))[:, None]
    data = ArrayDataset(numbers, np.zeros(n, np.int64))

    class Same(nn.Module):
        def __init__(self):
            self.zero = tg.tensor([0.0], dtype=np.float64, requires_grad=True)

        def forward(self, x):
            return x + self.zero

    def mean(predicted, true):
        return predicted.mean()

    def loaded(compile):
        seen = []

        def outputs(predicted, true):
            seen.append(predicted.copy())
            return 0

        loader = DataLoader(
            data, 32, order != "as they stand", order == "without the rest" and n > 32, rng=7
        )
        model = Same()
        optimizer = tg.optim.SGD(model.parameters(), lr=0.0)
        history = fit(model, mean, optimizer, loader, epochs=2, metrics=[outputs], compile=compile)
        return seen, history

    (seen, history), (expected, eager) = loaded(None), loaded(False)
    assert history.eager_because is None
    assert len(seen) == 2 and len(seen[0]) == (192 if order == "without the rest" else n)
    for here, there in zip(seen, expected):
        np.testing.assert_array_equal(here, there)
    assert history.train_loss == eager.train_loss


@needs_kernels
def test_a_data_set_that_makes_its_rows_itself_is_asked_for_them():
    pictures = ArrayDataset(images(100).arrays[0].reshape(100, 784), images(100).arrays[1])

    def shifted(compile):
        tg.manual_seed(1)
        model = nn.MLP(784, [8, 10])
        loader = DataLoader(RandomShift(pictures, 2, rng=5), 32, shuffle=True, rng=6)
        history = fit(
            model, cross_entropy, sgd(model.parameters()), loader, epochs=2, compile=compile
        )
        return model.state_dict(), history

    (weights, history), (expected, _) = shifted(None), shifted(False)
    assert history.eager_because is None
    assert_same(weights, expected)


@needs_kernels
def test_a_scheduler_that_a_callback_drives_and_early_stopping_do_as_without_a_program():
    def run(compile):
        tg.manual_seed(2)
        model = mlp()
        optimizer = adam(model.parameters())
        scheduler = tg.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
        options = {"callbacks": [lambda run: scheduler.step()], "early_stopping": 4, "epochs": 12}
        history = fit(
            model, cross_entropy, optimizer, moons(), moons(), compile=compile, rng=1, **options
        )
        return model.state_dict(), history

    (weights, history), (expected, eager) = run(None), run(False)
    assert history.eager_because is None
    assert history.lr == eager.lr and len(set(history.lr)) == 6
    assert (history.epochs, history.best_epoch) == (eager.epochs, eager.best_epoch)
    assert_same(weights, expected)


@needs_kernels
def test_fit_of_a_model_that_was_compiled_for_it_is_continued_by_python():
    """Weights, ages and memories of the optimizer are the same arrays: either goes on with them."""
    results = []
    for order in ((None, False, None), (False, False, False)):
        tg.manual_seed(4)
        model = mlp()
        optimizer = adam(model.parameters())
        for compile in order:
            fit(model, cross_entropy, optimizer, moons(), epochs=1, rng=0, compile=compile)
        results.append((model.state_dict(), optimizer.state_dict()))
    assert_same(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1]["age"], results[1][1]["age"])


# ----------------------------------------------------------------------------- what is not compiled


class Branching(nn.Module):
    """Its output depends on a number that it reads."""

    def __init__(self):
        self.layer = nn.Linear(2, 2)

    def forward(self, x):
        out = self.layer(x)
        return out * 2 if out.sum().item() > 0 else out


@needs_kernels
def test_what_cannot_be_compiled_is_run_by_python_and_said_in_one_line(capsys):
    weights, history = trained(Branching, adam, moons(), None, progress=True)
    assert "reads the numbers of a tensor" in history.eager_because
    (line,) = [x for x in capsys.readouterr().err.splitlines() if "compiled" in x]
    assert line == f"fit: training goes on without a compiled step: {history.eager_because}"
    expected, _ = trained(Branching, adam, moons(), False)
    for name, array in weights.items():
        np.testing.assert_array_equal(array, expected[name])
    for options, lines in (
        ({}, 0),
        ({"compile": True}, 1),
        ({"compile": True, "progress": False}, 0),
    ):
        trained(Branching, adam, moons(), **{"compile": None, **options})
        assert capsys.readouterr().err.count("\n") == lines


def test_without_kernels_python_runs_the_step_and_says_so_only_if_asked(monkeypatch, capsys):
    monkeypatch.setattr(steps, "info", lambda: {"kernels": "numpy"})
    for compile, lines in ((None, 0), (True, 1)):
        _, history = trained(mlp, adam, moons(), compile)
        assert history.eager_because == steps.NO_KERNELS
        assert capsys.readouterr().err.count("\n") == lines


@needs_kernels
def test_batches_of_ever_new_shapes_are_not_compiled_for_ever(capsys):
    class Ragged:
        """As many columns as the first row of the batch says."""

        def __len__(self):
            return 200

        def __getitem__(self, rows):
            return np.ones((len(rows), 1 + rows[0] % 50), np.float32), np.zeros(len(rows), np.int64)

    class Summing(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(1, 2)

        def forward(self, x):
            return self.layer(x.sum(axis=1, keepdims=True))

    model = Summing()
    loader = DataLoader(Ragged(), 8)
    history = fit(model, cross_entropy, sgd(model.parameters()), loader, epochs=2, progress=True)
    assert history.eager_because.startswith(f"the step was compiled {steps.MOST_FORMS + 1} times")
    assert capsys.readouterr().err.count("without a compiled step") == 1


# ----------------------------------------------------------------------- losses that are not finite


@pytest.mark.parametrize("compile", [None, False])
@pytest.mark.parametrize("row, batch", [(150, 5), (198, 7), (3, 1)])
def test_a_loss_that_is_not_finite_leaves_weights_and_optimizer_unspoiled(compile, row, batch):
    """In the middle of what C runs, in the incomplete batch that Python runs, and in the first."""

    def start(last):
        tg.manual_seed(0)
        model = mlp()
        optimizer = adam(model.parameters())
        inputs, labels = (array[:last].copy() for array in moons().arrays)
        return model, optimizer, inputs, labels

    model, optimizer, inputs, labels = start(None)
    inputs[row] = np.nan
    words = rf"nan at epoch 1, batch {batch} \(learning rate 0.01\).*ten times smaller"
    with pytest.raises(AnomalyError, match=words) as caught:
        fit(model, cross_entropy, optimizer, (inputs, labels), shuffle=False, compile=compile)
    assert caught.value.code == "non-finite-loss"
    assert optimizer._age == [batch - 1] * 4
    expected, other, inputs, labels = start(32 * (batch - 1))
    if batch > 1:
        fit(
            expected, cross_entropy, other, (inputs, labels), epochs=1, shuffle=False, compile=False
        )
    assert_same(model.state_dict(), expected.state_dict())


WEIGHT = tg.tensor([1.0], requires_grad=True)
SGD = tg.optim.SGD([WEIGHT], lr=1.0)


def checked(x):
    """A step that checks on its way: exp(x), and then a step along the sum of it."""

    def refuse(numbers):
        raise AnomalyError(f"met {numbers.shape}")

    SGD.zero_grad()
    power = tg.exp(x)
    open_trace().check(power.payload, refuse)
    (power.sum() * WEIGHT).sum().backward()
    SGD.step()
    return power.sum()


@pytest.mark.parametrize("n", [1, 3, 64, 100])
@pytest.mark.parametrize("wrong", [np.inf, np.nan])
def test_a_check_stops_a_program_before_what_comes_after_it(n, wrong):
    step = tg.compile(checked)
    x = np.zeros(n, np.float32)
    step(x)
    for position in {0, n // 2, n - 1}:
        WEIGHT.payload[...] = 5.0
        bad = x.copy()
        bad[position] = wrong
        with pytest.raises(AnomalyError, match=rf"met \({n},\)"):
            step(bad)
        assert WEIGHT.data == 5.0
    step(x)
    assert WEIGHT.data == 5.0 - n
    assert ("finite(" if info()["kernels"] == "c" else "check(") in str(step.program)


def test_many_says_in_which_step_an_error_arose_and_has_done_those_before():
    step = tg.compile(checked)
    rows = np.zeros((40, 4), np.float32)
    rows[21] = np.inf  # of batches of 2, the eleventh
    WEIGHT.payload[...] = 0.0
    with pytest.raises(AnomalyError, match=r"met \(2, 4\)") as caught:
        step.many(rows, batch_size=2)
    assert caught.value.step == 10
    assert caught.value.__notes__ == ["In step 11 of 20 of Compiled.many."]
    assert WEIGHT.data == -8.0 * 10  # each step goes along the sum of 2 * 4 ones


def test_many_within_detect_anomaly_looks_at_every_step():
    rows = np.ones((6, 2), np.float32)
    step = tg.compile(lambda x: tg.log(x).sum())
    with tg.detect_anomaly():
        step.many(rows, batch_size=2)  # before there is a program
    step.many(rows, batch_size=2)
    rows[4] = np.nan
    assert np.isnan(step.many(rows, batch_size=2).data).sum() == 1
    with tg.detect_anomaly(), pytest.raises(AnomalyError, match="log, forward"):
        step.many(rows, batch_size=2)


# ------------------------------------------------------------------------------------------- Ctrl-C


@needs_kernels
@needs_signals
def test_ctrl_c_while_c_runs_an_epoch_is_answered_within_it(tmp_path, monkeypatch):
    """The signal comes while C is in the second stretch of the first epoch: fit returns long before
    the epoch's end, with the steps that were made in the checkpoint and in the optimizer's age."""
    data = datasets.moons(64_000, 0.1, rng=0)
    model = mlp()
    optimizer = adam(model.parameters())
    seconds, told = 2e-4, []  # so that a stretch is of about 250 steps

    def interrupting(self, number):
        told.append(number)
        if len(told) == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("tinygrad_edu.train.progress.Quiet.batch", interrupting)
    monkeypatch.setattr("tinygrad_edu.compiler.many.SECONDS", seconds)
    history = fit(model, cross_entropy, optimizer, data, epochs=5, checkpoint=tmp_path / "best.npz")
    assert history.interrupted and history.epochs == 0 and history.eager_because is None
    assert told[-1] < 2000 and len(told) == 2
    assert optimizer._age == [told[-1]] * 4
    saved = tg.load(tmp_path / "best.npz")
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, saved[name])


@needs_kernels
def test_a_callback_that_is_interrupted_keeps_the_best_of_the_epochs(tmp_path):
    def interrupted(run):
        if run.epoch == 2:
            raise KeyboardInterrupt

    weights, history = trained(
        mlp, adam, moons(), None, callbacks=[interrupted], checkpoint=tmp_path / "best.npz"
    )
    assert history.interrupted and history.epochs == 2
    saved = tg.load(tmp_path / "best.npz")
    for name, array in weights.items():
        np.testing.assert_array_equal(array, saved[name])


def test_a_reason_survives_the_way_to_disk(tmp_path):
    _, history = trained(mlp, adam, moons(), False, epochs=1)
    history.save(tmp_path / "history.json")
    assert tg.train.History.load(tmp_path / "history.json").eager_because == steps.NOT_ASKED


def test_a_step_that_cannot_be_compiled_in_many_is_named_as_it_is():
    step = tg.compile(lambda x: x * float(x.sum()))
    with pytest.raises(CompileError) as caught:
        step.many(np.ones((4, 2)), batch_size=2)
    assert caught.value.step == 0 and not hasattr(caught.value, "__notes__")
