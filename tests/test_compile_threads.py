"""tg.compile: errors in a replay, many threads, nested steps, and the rest of its edges."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from compiled_steps import (
    LABELS,
    ONES,
    World,
    assert_same_world,
    batches,
    programs,
    train,
    twins,
)

import tinygrad_edu as tg
from tinygrad_edu.errors import CompileError
from tinygrad_edu.graph import traces

F, nn = tg.nn.functional, tg.nn


def test_an_error_in_the_step_leaves_everything_as_it_was():
    world = World()
    x, labels = batches(1, 4, 3)[0], LABELS
    world.step(tg.Tensor(x), labels)
    before = {name: np.copy(value) for name, value in world.numbers().items()}
    grads = [p.grad for p in world.model.parameters()]

    def step(x):
        world.step(x, labels)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tg.compile(step)(x)
    assert not traces and not isinstance(vars(tg.Tensor).get("grad"), property)
    assert [p.grad for p in world.model.parameters()] == grads
    for name, value in world.numbers().items():
        np.testing.assert_array_equal(value, before[name])


def test_a_class_out_of_range_in_a_replay_changes_nothing():
    _, world, call = twins(optimizer=tg.optim.Adam)
    (x,) = batches(1, 4, 3)
    call(x, LABELS)
    before = {name: np.copy(value) for name, value in world.numbers().items()}
    for wrong in (np.array([0, 1, 2, 0]), np.array([0, -1, 0, 0])):
        with pytest.raises(IndexError, match="target holds class"):
            call(x, wrong)
        for name, value in world.numbers().items():
            np.testing.assert_array_equal(value, before[name])
    call(x, LABELS)


def test_an_epoch_that_is_interrupted_goes_on():
    eager, fast, call = twins(optimizer=tg.optim.Adam)
    xs = batches(6, 4, 3)
    train(eager, fast, call, xs[:2])
    with pytest.raises(KeyboardInterrupt):
        for k, x in enumerate(xs[2:]):
            if k == 2:
                raise KeyboardInterrupt
            call(x, LABELS)
    for x in xs[2:4]:
        eager.step(tg.Tensor(x), LABELS)
    assert_same_world(eager, fast)
    train(eager, fast, call, xs[4:])


def run_threads(*targets):
    failed = []

    def guarded(target):
        try:
            target()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=guarded, args=(target,)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def test_one_program_in_many_threads():
    call = tg.compile(lambda x: tg.softmax(tg.exp(x * 0.1) @ x.T, axis=-1).sum(axis=0))
    xs = batches(4, 30, 20)
    wanted = [call.function(tg.Tensor(x)).data for x in xs]

    def work(k):
        for _ in range(30):
            np.testing.assert_array_equal(call(xs[k]).data, wanted[k])

    run_threads(*[lambda k=k: work(k) for k in range(4)])


def test_different_programs_in_many_threads():
    pairs = [twins(optimizer=tg.optim.Adam, seed=k) for k in range(3)]
    xs = batches(10, 4, 3)

    def work(pair):
        eager, _, call = pair
        for x in xs:
            wanted = eager.step(tg.Tensor(x), LABELS)
            np.testing.assert_array_equal(call(x, LABELS).data, wanted.data)

    run_threads(*[lambda pair=pair: work(pair) for pair in pairs])
    for eager, fast, _ in pairs:
        assert_same_world(eager, fast)


def test_tracing_in_one_thread_while_another_runs_eagerly():
    tracing, done = threading.Event(), threading.Event()
    world = World()

    def step(x):
        tracing.set()
        assert done.wait(30)
        return world.step(x, LABELS)

    def eager():
        assert tracing.wait(30)
        other = World(seed=1)  # sets attributes of modules, draws, reads numbers
        for x in batches(5, 4, 3):
            assert float(other.step(tg.Tensor(x), LABELS).data) > 0
        done.set()

    call = tg.compile(step)
    run_threads(lambda: call(batches(1, 4, 3)[0]), eager)
    assert programs(call) == 1


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # NumPy's kernels, at log(-1)
def test_detect_anomaly_looks_at_every_value():
    call = tg.compile(lambda x: tg.log(x))
    call(ONES)
    with tg.detect_anomaly(), pytest.raises(tg.AnomalyError, match="log"):
        call(-ONES)
    assert np.isnan(call(-ONES).data).all()


def test_a_compiled_function_in_another():
    inner = tg.compile(lambda x: tg.tanh(x) * factor[0])
    outer = tg.compile(lambda x: inner(x) + inner(x * 2))
    factor = [1.0]
    for k in range(3):
        factor[0] = float(k)
        wanted = k * np.tanh(ONES) + k * np.tanh(2 * ONES)
        np.testing.assert_allclose(outer(ONES).data, wanted, rtol=1e-15)


def test_tensors_kept_from_inside_a_step():
    kept = {}

    class Keeper:
        def __call__(self, x):
            kept_elsewhere.append(x * 2)
            return x

    kept_elsewhere = []
    with pytest.raises(CompileError, match="changes"):
        tg.compile(Keeper())(ONES)
    (tensor,) = kept_elsewhere[:1]
    for use in (
        lambda: tensor + 1,
        lambda: tensor.data,
        lambda: tensor.numpy(),
        lambda: tensor.sum().item(),
        lambda: float(tensor[0]),
        lambda: tensor.tolist(),
    ):
        with pytest.raises(CompileError, match="kept from inside|traced value"):
            use()
    assert "Traced" in repr(tensor) and not kept


def test_models_are_copied_pickled_and_saved_as_before(tmp_path):
    _, world, call = twins()
    for x in batches(3, 4, 3):
        call(x, LABELS)
    twin = copy.deepcopy(world.model)
    again = pickle.loads(pickle.dumps(world.model.state_dict()))
    tg.save(tmp_path / "model.npz", world.model.state_dict())
    loaded = tg.load(tmp_path / "model.npz")
    for name, value in world.model.state_dict().items():
        for other in (twin.state_dict(), again, loaded):
            np.testing.assert_array_equal(other[name], value)
    call(batches(1, 4, 3)[0], LABELS)
    assert any((twin.state_dict()[k] != v).any() for k, v in world.model.state_dict().items())


def test_an_eager_graph_over_parameters_that_a_replay_writes_is_refused():
    _, world, call = twins()
    (x,) = batches(1, 4, 3)
    call(x, LABELS)
    loss = F.cross_entropy(world.model(tg.Tensor(x)), LABELS)
    call(x, LABELS)
    with pytest.raises(tg.GraphError, match="changed in place"):
        loss.backward()


def test_a_program_can_be_read():
    _, _, call = twins(nn.Dropout)
    with pytest.raises(CompileError, match="no program before the first call"):
        str(call.program)
    call(batches(1, 4, 3)[0], LABELS)
    text = str(call.program)
    assert text.startswith("program(x0 f64[4, 3]") and "compiled_steps.py:" in text


def test_without_the_c_kernels():
    """The same tests where everything is run by Python: those that need no thread."""
    code = (
        "import pytest, sys; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', *sys.argv[1:], "
        "'-k', 'eager_mode or evaluation or add_up or randomness or layout or clip or range']))"
    )
    import os

    files = map(str, Path(__file__).parent.glob("test_compile_[!f]*.py"))
    environment = {**os.environ, "TINYGRAD_EDU_KERNELS": "numpy"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    if os.environ.get("TINYGRAD_EDU_KERNELS") == "numpy":
        pytest.skip("this is that run")
    done = subprocess.run(
        [sys.executable, "-c", code, *files], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_what_a_forward_does_on_the_side_is_refused():
    """Only Module.__call__ names `forward`; the code of it counts all the same."""
    calls = []

    class Counted(tg.nn.Module):
        def forward(self, x):
            calls.append(1)
            return x * 2.0

    model = Counted()
    with pytest.raises(CompileError, match="calls"):
        tg.compile(lambda x: model(x))(np.ones(3))


def test_views_of_a_parameter_that_is_not_dense_itself():
    """Python runs cumsum, on a view of an array every other number of which is the parameter's."""
    memory = np.random.default_rng(0).random((4, 8))
    w = tg.Tensor(memory[:, ::2], requires_grad=True)

    def step(x):
        y = tg.cumsum(w[1:][:, ::-1], axis=0) @ x
        (y * y).sum().backward()
        g, w.grad = w.grad, None
        return y.detach(), g

    call = tg.compile(step)
    for scale in (1.0, 2.0, 3.0):
        x = np.full((4, 4), scale)
        for got, wanted in zip(call(x), step(x), strict=True):
            np.testing.assert_array_equal(got.data, wanted.data)


def test_a_view_taken_before_a_write_shows_what_was_written():
    w = tg.Tensor(np.ones(3), requires_grad=True)

    def step(x):
        with tg.no_grad():
            view = w[1:]
            before = tg.exp(view) * x
            w.__isub__(0.25)
            return before, tg.exp(view) * x

    call, eager = tg.compile(step), []
    got = [call(np.ones(2)) for _ in range(3)]
    with tg.no_grad():
        w += 0.75
    eager = [step(np.ones(2)) for _ in range(3)]
    for pair, wanted in zip(got, eager, strict=True):
        assert (pair[0].data != pair[1].data).all()
        np.testing.assert_array_equal([p.data for p in pair], [p.data for p in wanted])


def test_what_cannot_be_a_step_or_an_epoch_is_refused_by_name():
    step = tg.compile(lambda x: x.sum())
    with pytest.raises(tg.errors.CallError, match="expected a function, the step"):
        tg.compile(3)
    with pytest.raises(tg.errors.CallError, match="callback"):
        step.many(np.ones((3, 2)), batch_size=1, callback=3)
    for arrays, order in ((np.ones((3, 2)), []), (np.ones((0, 2)), None)):
        with pytest.raises(tg.errors.DataError, match="no rows"):
            step.many(arrays, batch_size=1, order=order)
