"""The training loop: what it learns, what it keeps, and how it stops."""

import json
import os
import signal
import sys
import textwrap
import threading

import numpy as np
import pytest
from processes import started

import tinygrad_edu as tg
from tinygrad_edu.data import ArrayDataset, DataLoader, datasets
from tinygrad_edu.errors import DataError, ShapeError
from tinygrad_edu.train import EarlyStopping, History, evaluate, fit

cross_entropy = tg.nn.functional.cross_entropy


def moons(n=120, seed=0):
    return datasets.moons(n, 0.1, rng=seed)


def start(seed=0, lr=0.02):
    """A small network and its optimizer, the same for the same seed."""
    tg.manual_seed(seed)
    model = tg.nn.MLP(2, [16, 2])
    return model, tg.optim.Adam(model.parameters(), lr=lr)


def copied(model):
    return {name: np.array(array) for name, array in model.state_dict().items()}


def assert_same(weights, others):
    assert list(weights) == list(others)
    for name, array in weights.items():
        np.testing.assert_array_equal(array, others[name], err_msg=name)


def test_fit_learns_the_moons_and_notes_every_epoch():
    model, optimizer = start()
    history = fit(model, cross_entropy, optimizer, moons(400), moons(200, 1), epochs=30, rng=0)
    assert history.val_accuracy[history.best_epoch - 1] > 0.97
    assert evaluate(model, cross_entropy, moons(300, 2))["accuracy"] > 0.97
    names = {"train_loss", "train_accuracy", "val_loss", "val_accuracy", "seconds", "lr"}
    assert set(history.series) == names
    assert all(len(history[name]) == history.epochs == 30 for name in names)
    assert history.lr == [0.02] * 30 and min(history.seconds) > 0
    assert history.train_loss[-1] < history.train_loss[0] / 3
    assert not history.interrupted and not history.stopped_early


def test_the_same_seed_gives_the_same_weights_whatever_form_the_data_have():
    data, val = moons(), moons(50, 1)
    results = []
    for train, check in (
        (data, val),
        (data.arrays, val.arrays),
        (DataLoader(data, 32, shuffle=True, rng=5), DataLoader(val, 7)),
    ):
        model, optimizer = start()
        fit(model, cross_entropy, optimizer, train, check, epochs=3, rng=5)
        results.append(copied(model))
    assert_same(results[0], results[1])
    assert_same(results[0], results[2])
    model, optimizer = start()
    fit(model, cross_entropy, optimizer, data, val, epochs=3, rng=6)
    assert any(not np.array_equal(array, results[0][name]) for name, array in copied(model).items())


def test_figures_are_those_of_all_examples_not_means_of_batches():
    """One batch is larger than the others, and the F1 of a set is no mean of the F1 of its
    parts."""
    model, optimizer = start()
    val = moons(50, 1)
    history = fit(
        model,
        cross_entropy,
        optimizer,
        moons(),
        DataLoader(val, 33),
        epochs=1,
        metrics=("accuracy", "f1"),
    )
    whole = evaluate(model, cross_entropy, val, metrics=("accuracy", "f1"), batch_size=50)
    assert history.val_loss == [pytest.approx(whole["loss"], rel=1e-5)]
    assert (history.val_accuracy, history.val_f1) == ([whole["accuracy"]], [whole["f1"]])


def test_a_metric_can_be_a_function_and_metrics_can_be_none():
    def share_of_ones(predicted, true):
        return np.mean(predicted.argmax(axis=1))

    model, optimizer = start()
    history = fit(model, cross_entropy, optimizer, moons(), epochs=2, metrics=[share_of_ones])
    assert set(history.series) == {"train_loss", "train_share_of_ones", "seconds", "lr"}
    assert set(fit(model, cross_entropy, optimizer, moons(), epochs=1, metrics=()).series) == {
        "train_loss",
        "seconds",
        "lr",
    }


@pytest.mark.parametrize("compile", [False, None])
def test_the_model_is_in_train_mode_for_training_and_in_eval_mode_for_everything_else(compile):
    """A forward that notes something cannot be compiled: it is watched once, then run eagerly."""
    modes = []

    class Watched(tg.nn.MLP):
        def forward(self, x):
            modes.append(self.training)
            return super().forward(x)

    model = Watched(2, [4, 2], rng=0)
    optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
    val = moons(20, 1)
    history = fit(model, cross_entropy, optimizer, moons(64), val, epochs=2, compile=compile)
    compiles = compile is None and tg.kernels.info()["kernels"] == "c"
    watched = [True] if compiles else []
    assert modes == watched + [True, True, False] * 2
    assert not compiles or "modes" in history.eager_because
    assert not model.training


def test_evaluation_records_nothing():
    model, _ = start()
    seen = []

    def loss(output, target):
        seen.append(output.requires_grad)
        return cross_entropy(output, target)

    evaluate(model, loss, moons())
    assert seen and not any(seen)


# ----------------------------------------------------------------------------------- best and early


class Scripted:
    """A loss that is real while training, and a validation metric that follows a script, one value
    an epoch."""

    def __init__(self, *values):
        self.values = list(values)
        self.calls = 0

    def __call__(self, predicted, true):
        self.calls += 1
        return self.values[self.calls // 2 - 1] if self.calls % 2 == 0 else 0.0

    __name__ = "script"


def test_the_best_epoch_is_restored_and_its_weights_are_in_the_checkpoint(tmp_path):
    weights = {}
    model, optimizer = start()
    history = fit(
        model,
        cross_entropy,
        optimizer,
        moons(),
        moons(20, 1),
        epochs=4,
        metrics=[Scripted(1, 3, 3, 2)],
        early_stopping=EarlyStopping(9, monitor="val_script"),
        checkpoint=tmp_path / "best.npz",
        callbacks=[lambda run: weights.update({run.epoch: copied(run.model)})],
    )
    assert history.best_epoch == 2  # a tie is no improvement
    assert_same(copied(model), weights[2])
    assert_same(tg.load(tmp_path / "best.npz"), weights[2])
    assert [path.name for path in tmp_path.iterdir()] == ["best.npz"]


def test_the_best_weights_are_on_disk_even_when_training_fails(tmp_path):
    weights = {}

    def callback(run):
        weights[run.epoch] = copied(run.model)
        if run.epoch == 5:
            raise RuntimeError("the callback failed")

    model, optimizer = start()
    with pytest.raises(RuntimeError, match="the callback failed"):
        fit(
            model,
            cross_entropy,
            optimizer,
            moons(),
            moons(20, 1),
            epochs=9,
            metrics=[Scripted(1, 2, 3, 4, 0)],
            early_stopping=EarlyStopping(9, monitor="val_script"),
            checkpoint=tmp_path / "best.npz",
            callbacks=[callback],
        )
    assert_same(tg.load(tmp_path / "best.npz"), weights[4])


def test_the_last_weights_stay_when_that_is_asked_or_there_is_no_validation():
    for options in ({"val": moons(20, 1), "restore_best": False}, {}):
        weights = {}
        model, optimizer = start(lr=0.5)
        fit(
            model,
            cross_entropy,
            optimizer,
            moons(),
            epochs=6,
            **options,
            callbacks=[lambda run, kept=weights: kept.update({run.epoch: copied(run.model)})],
        )
        assert_same(copied(model), weights[6])


@pytest.mark.parametrize(
    ("stopping", "values", "epochs"),
    [
        (EarlyStopping(2, monitor="val_script"), (1, 2, 2, 2, 9), 4),
        (EarlyStopping(2, monitor="val_script"), (1, 0, 2, 0, 0), 5),
        (EarlyStopping(1, min_delta=0.5, monitor="val_script"), (1, 1.6, 2.0, 9, 9), 3),
        (EarlyStopping(3, monitor="val_script"), (5, 4, 3, 2, 1), 4),
    ],
)
def test_early_stopping_waits_for_as_long_as_it_says(stopping, values, epochs):
    model, optimizer = start()
    history = fit(
        model,
        cross_entropy,
        optimizer,
        moons(),
        moons(20, 1),
        epochs=5,
        metrics=[Scripted(*values)],
        early_stopping=stopping,
    )
    assert history.epochs == epochs
    assert history.stopped_early == (epochs < 5)


def test_an_integer_is_a_patience_and_losses_improve_downwards():
    model, optimizer = start(lr=1e-9)  # nothing gets better than the first epoch by more than noise
    val = moons(20, 1)
    history = fit(
        model,
        cross_entropy,
        optimizer,
        moons(),
        val,
        epochs=50,
        early_stopping=EarlyStopping(3, 1e-3),
    )
    assert (history.epochs, history.best_epoch) == (4, 1)
    model, optimizer = start()
    history = fit(model, cross_entropy, optimizer, moons(), val, epochs=5, early_stopping=5)
    assert history.best_epoch == 1 + int(np.argmin(history.val_loss))


def test_a_callback_can_stop_and_can_set_the_learning_rate():
    def callback(run):
        run.optimizer.lr = 0.01 / run.epoch
        run.stop = run.epoch == 3

    model, optimizer = start(lr=0.02)
    history = fit(model, cross_entropy, optimizer, moons(), epochs=9, callbacks=[callback])
    assert history.lr == [0.02, 0.01, 0.005]
    assert history.stopped_early


# ------------------------------------------------------------------------------------------- Ctrl-C


def test_an_interrupt_after_two_epochs_keeps_the_best_of_them(tmp_path):
    weights = {}

    def callback(run):
        weights[run.epoch] = copied(run.model)
        if run.epoch == 2:
            raise KeyboardInterrupt

    model, optimizer = start()
    history = fit(
        model,
        cross_entropy,
        optimizer,
        moons(),
        moons(20, 1),
        epochs=9,
        callbacks=[callback],
        checkpoint=tmp_path / "best.npz",
    )
    assert history.interrupted and history.epochs == 2
    assert_same(copied(model), weights[history.best_epoch])
    assert_same(tg.load(tmp_path / "best.npz"), weights[history.best_epoch])


needs_signals = pytest.mark.skipif(
    os.name == "nt", reason="os.kill ends a process on Windows, whatever the signal"
)


@needs_signals
def test_a_signal_is_answered_after_the_batch_and_not_inside_it(tmp_path):
    """Ctrl-C arrives in the middle of the second step: the step is finished, and no third one
    begins."""
    model, optimizer = start()
    steps, real = [], optimizer.step

    def step():
        steps.append("begun")
        if len(steps) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        real()
        steps.append("done")

    optimizer.step = step
    previous = signal.getsignal(signal.SIGINT)
    history = fit(
        model,
        cross_entropy,
        optimizer,
        moons(),
        epochs=9,
        checkpoint=tmp_path / "best.npz",
        compile=False,
    )
    assert history.interrupted and history.epochs == 0 and history.best_epoch is None
    assert steps == ["begun", "done"] * 2
    assert signal.getsignal(signal.SIGINT) is previous
    assert_same(
        tg.load(tmp_path / "best.npz"), copied(model)
    )  # no epoch was completed: the current weights


@needs_signals
def test_the_second_signal_does_not_wait_and_a_foreign_handler_is_respected():
    from tinygrad_edu.train.interrupt import Interrupt

    with pytest.raises(KeyboardInterrupt), Interrupt():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("the second signal waited")
    with pytest.raises(KeyboardInterrupt), Interrupt():
        os.kill(os.getpid(), signal.SIGINT)  # never checked, yet not lost
    heard = []
    previous = signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    try:
        with Interrupt() as interrupt:
            os.kill(os.getpid(), signal.SIGINT)
            interrupt.check()
    finally:
        signal.signal(signal.SIGINT, previous)
    assert heard == [1]


def test_fit_works_in_a_thread_where_signals_cannot_be_set():
    histories = []

    def work():
        model, optimizer = start()
        histories.append(fit(model, cross_entropy, optimizer, moons(), epochs=2))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert histories[0].epochs == 2


@needs_signals
def test_ctrl_c_in_a_script_lets_it_go_on_and_leaves_whole_files(tmp_path):
    script = textwrap.dedent("""
        import sys, tinygrad_edu as tg
        data = tg.data.datasets.moons(500, rng=0)
        model = tg.nn.MLP(2, [16, 2])
        def ready(run):
            if run.epoch == 3:
                print("ready", flush=True)
        history = tg.train.fit(
            model, tg.nn.functional.cross_entropy, tg.optim.Adam(model.parameters(), lr=1e-3), data,
            data, epochs=10**7, checkpoint=sys.argv[1] + "/best.npz", callbacks=[ready])
        history.save(sys.argv[1] + "/history.json")
        print("interrupted" if history.interrupted else "not")
    """)
    with started("-c", script, tmp_path, stderr=None) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    assert (process.returncode, rest) == (0, "interrupted\n")
    saved = json.loads((tmp_path / "history.json").read_text())
    assert saved["interrupted"] and len(saved["val_loss"]) == saved["epochs"] >= 3
    assert list(tg.load(tmp_path / "best.npz")) == list(tg.nn.MLP(2, [16, 2]).state_dict())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.npz", "history.json"]


# ----------------------------------------------------------------------------------------- refusals


def test_a_loss_that_is_not_finite_stops_with_epoch_batch_rate_and_advice():
    inputs, labels = moons(64).arrays
    inputs = inputs.copy()
    inputs[40] = np.nan
    model, optimizer = start(lr=0.25)
    with pytest.raises(
        FloatingPointError,
        match=r"nan at epoch 1, batch 2 \(learning rate 0.25\).*learning rate ten",
    ):
        fit(model, cross_entropy, optimizer, (inputs, labels), epochs=2, shuffle=False)
    assert all(
        np.isfinite(array).all() for array in copied(model).values()
    )  # the bad step was not taken
    model, optimizer = start()
    with pytest.raises(FloatingPointError, match="nan at epoch 1, validation batch 2"):
        fit(model, cross_entropy, optimizer, moons(), (inputs, labels), epochs=2)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"epochs": 0}, ValueError, "epochs is 0"),
        ({"epochs": 1.5}, TypeError, "epochs is 1.5"),
        ({"batch_size": 0}, ValueError, "batch_size is 0"),
        ({"metrics": ("accurcy",)}, ValueError, "unknown metric 'accurcy'.*accuracy"),
        ({"early_stopping": 0}, ValueError, "patience is 0"),
        (
            {"early_stopping": EarlyStopping(monitor="val_loss")},
            ValueError,
            "monitors 'val_loss'.*Pass validation",
        ),
        ({"train": [1, 2]}, TypeError, "train: got list"),
        ({"train": ArrayDataset(np.zeros((3, 2)))}, TypeError, "inputs and targets"),
        (
            {"train": (np.zeros((0, 2)), np.zeros(0, int))},
            DataError,
            "train: no batches: 0 examples",
        ),
        ({"val": (np.zeros((0, 2)), np.zeros(0, int))}, DataError, "val: no batches"),
        ({"train": DataLoader(moons(5), 6, drop_last=True)}, DataError, "incomplete batch dropped"),
        ({"loss": lambda z, y: z}, ShapeError, r"loss has shape \(32, 2\).*reduction"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(options, error, words):
    model, optimizer = start()
    arguments = {"loss": cross_entropy, "train": moons(), "epochs": 1, **options}
    with pytest.raises(error, match=words):
        fit(model, optimizer=optimizer, **arguments)


@pytest.mark.parametrize("delta", [-1.0, float("nan"), float("inf")])
def test_a_min_delta_that_is_no_distance_is_refused(delta):
    with pytest.raises(ValueError, match="min_delta"):
        EarlyStopping(3, delta)


# ----------------------------------------------------------------------------- history and progress


def test_a_history_survives_the_way_to_disk_and_back(tmp_path):
    history = History()
    history.append(train_loss=1.5, lr=0.1)
    history.append(train_loss=0.5, lr=0.1)
    history.best_epoch, history.interrupted = 2, True
    path = tmp_path / "history.json"
    history.save(path)
    assert (
        json.loads(path.read_text())
        == history.to_dict()
        == {
            "train_loss": [1.5, 0.5],
            "lr": [0.1, 0.1],
            "epochs": 2,
            "best_epoch": 2,
            "interrupted": True,
            "stopped_early": False,
            "eager_because": None,
        }
    )
    assert History.load(path).to_dict() == history.to_dict()
    assert repr(history) == "History(2 epochs: train_loss=0.5, lr=0.1)"
    for text in (
        "",
        "[]",
        "{}",
        path.read_text()[:-30],
        path.read_text().replace('"epochs": 2', '"epochs": 3'),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match="history.json is not a history"):
            History.load(path)


def test_a_history_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "history.json"
    path.write_text("old")
    history = History()
    history.append(train_loss=float("nan"))
    with pytest.raises(ValueError):
        history.save(path)
    assert path.read_text() == "old" and [entry.name for entry in tmp_path.iterdir()] == [
        "history.json"
    ]


def test_a_series_that_is_not_there_is_answered_with_those_that_are():
    history = History()
    history.append(train_loss=1.0)
    with pytest.raises(AttributeError, match="val_loss.*train_loss"):
        _ = history.val_loss
    with pytest.raises(KeyError, match="val_loss.*train_loss"):
        history["val_loss"]
    with pytest.raises(ValueError, match="the epochs before"):
        history.append(val_loss=1.0)


def test_progress_is_quiet_unless_asked_or_on_a_terminal(capsys):
    for progress, epochs_named in ((None, 0), (False, 0), (True, 1)):
        model, optimizer = start()
        fit(model, cross_entropy, optimizer, moons(), epochs=2, progress=progress)
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("epoch 2/2  train_loss") == epochs_named


@pytest.mark.parametrize("library", ["rich", None])
def test_on_a_terminal_there_is_a_bar_with_the_library_and_lines_without(monkeypatch, library):
    import io

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    if library:
        pytest.importorskip(library)
    else:
        for name in ("rich", "rich.console", "rich.progress"):
            monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(sys, "stderr", Terminal())
    model, optimizer = start()
    fit(model, cross_entropy, optimizer, moons(), epochs=2)
    text = sys.stderr.getvalue()
    assert "epoch 2/2" in text and "train_loss" in text
    assert ("\x1b[" in text) == (library == "rich")
