"""Modules: walking, state, errors with the path of the layer; layers and losses."""

from __future__ import annotations

import inspect
import math
import pickle

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.errors import DtypeError, ShapeError
from tinygrad_edu.nn import functional as F
from tinygrad_edu.testing import gradcheck


class Block(nn.Module):
    """Parameters in every kind of container, one shared, one buffer."""

    buffers = ("running",)

    def __init__(self):
        self.scale = tg.ones(3, requires_grad=True)
        self.shared = self.scale
        self.running = tg.zeros(3)
        self.layers = [nn.Linear(3, 4, rng=0), {"inner": nn.Linear(4, 3, bias=False, rng=1)}]
        self.pair = (tg.ones(2, requires_grad=True), "not a tensor", None)
        self.number = 5

    def forward(self, x):
        return self.layers[1]["inner"](tg.relu(self.layers[0](x * self.scale)))


# ---------------------------------------------------------------------------------------- walking


def test_parameters_are_found_by_walking_each_once():
    block = Block()
    names = [name for name, _ in block.named_parameters()]
    assert names == ["scale", "pair.0", "layers.0.weight", "layers.0.bias", "layers.1.inner.weight"]
    assert (
        len(block.parameters()) == 5
        and sum(p.size for p in block.parameters()) == 3 + 2 + 12 + 4 + 12
    )
    assert set(block.state_dict()) == {*names, "running"}
    assert [name for name, _ in block.named_modules()] == ["", "layers.0", "layers.1.inner"]


def test_train_and_eval_reach_every_module():
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout(0.5)))
    model.eval()
    assert not any(module.training for _, module in model.named_modules())
    model.train()
    assert all(module.training for _, module in model.named_modules())


def test_zero_grad_forgets():
    block = Block()
    block(tg.ones((2, 3))).sum().backward()
    assert block.scale.grad is not None
    block.zero_grad()
    assert all(p.grad is None for p in block.parameters())


def test_summary_counts_every_parameter():
    assert "101,770 parameters" in nn.MLP(784, [128, 10]).summary()
    assert "33 parameters" in Block().summary()


@pytest.mark.parametrize("widths", [(3, 4, 2), (2, 1), (1, 5, 5, 3), (784, 128, 10)], ids=str)
def test_summary_of_a_drawing_is_its_closed_formula(widths):
    """Between layers of n and m neurons are n m arrows, and each of the m has a threshold."""
    found = nn.MLP(widths[0], widths[1:], activation="tanh").summary()
    pairs = list(zip(widths, widths[1:]))
    assert found.weights == sum(n * m for n, m in pairs) and found.biases == sum(widths[1:])
    assert found.parameters == found.trainable == found.weights + found.biases
    hidden = widths[1:-1]
    assert [found.architecture[f"layers.{i}.units"] for i in range(len(hidden))] == list(hidden)
    assert found.architecture["layers"] == len(pairs)
    assert found.hyperparameters == 1 + len(hidden) + (1 if hidden else 0)
    assert f"{found.parameters:,} parameters" in found and repr(found) == str(found)


def test_summary_of_lenet5():
    model = nn.LeNet5(activation="relu")
    optimizer = tg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    found = model.summary((1, 28, 28), optimizer=optimizer, batch_size=64, epochs=10, shift=None)
    assert (found.parameters, found.weights, found.biases) == (61_706, 61_470, 236)
    by_layer = {row.path: (row.parameters, row.output_shape) for row in found.layers}
    assert by_layer == {
        "conv1": (156, (6, 28, 28)),
        "pool1": (0, (6, 14, 14)),
        "conv2": (2_416, (16, 10, 10)),
        "pool2": (0, (16, 5, 5)),
        "head.layers.0": (48_120, (120,)),
        "head.layers.1": (10_164, (84,)),
        "head.layers.2": (850, (10,)),
    }
    # layers, activation; filters, kernel, stride of two convolutions; kernel, stride of two
    # poolings; two widths
    assert len(found.architecture) == 2 + 2 * 3 + 2 * 2 + 2
    assert found.training == {
        "optimizer": "SGD",
        "lr": 0.1,
        "momentum": 0.9,
        "batch_size": 64,
        "epochs": 10,
    }
    assert "16 x 10 x 10" in found and "weight 16 x 6 x 5 x 5 + bias 16" in found


def test_summary_names_what_each_kind_of_layer_has_chosen():
    model = nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8, momentum=0.2),
        nn.LeakyReLU(negative_slope=0.1),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(32, 16),
        tg.tanh,
        nn.Linear(16, 4),
    )
    found = model.summary(optimizer="SGD", lr=0.1, loss=nn.functional.cross_entropy)
    assert found.architecture == {
        "layers": 4,
        "layers.7.activation": "tanh",
        "layers.0.filters": 8,
        "layers.0.kernel_size": (3, 3),
        "layers.0.stride": (1, 1),
        "layers.0.padding": (1, 1),
        "layers.0.bias": False,
        "layers.1.momentum": 0.2,
        "layers.2.activation": "leaky_relu",
        "layers.2.negative_slope": 0.1,
        "layers.3.kernel_size": (2, 2),
        "layers.3.stride": (2, 2),
        "layers.5.p": 0.3,
        "layers.6.units": 16,
    }
    assert found.training == {"optimizer": "SGD", "lr": 0.1, "loss": "cross_entropy"}
    assert found.biases == 8 + 16 + 4 and found.layers[1].parameters == 16
    assert nn.McCullochPitts(3, 2, [1]).summary().architecture["threshold"] == 2
    table = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 1))
    assert table.summary((7,), input_dtype=np.int64).layers[0].output_shape == (7, 4)


def test_summary_leaves_the_model_as_it_was():
    """Modes, numbers, generators, gradients and attributes; also when the input does not fit."""
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5, rng=0), nn.Linear(3, 2, rng=0))
    model[1].eval()
    state, twin = model.state_dict(), nn.Dropout(0.5, rng=0)
    attributes = [set(vars(module)) for _, module in model.named_modules()]
    modes = [module.training for _, module in model.named_modules()]
    assert model.summary((3,)).layers[-1].output_shape == (2,)
    with pytest.raises(ShapeError, match="in Sequential.*layers.0.BatchNorm1d|layers.0"):
        model.summary((4,))
    with pytest.raises(ShapeError, match="summary: input_shape=.*one sample, without the batch"):
        model.summary((0, 3))
    assert [set(vars(module)) for _, module in model.named_modules()] == attributes
    assert [module.training for _, module in model.named_modules()] == modes
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, state[name])
    assert all(p.grad is None for p in model.parameters())
    x = tg.ones((5, 3))
    np.testing.assert_array_equal(model[1].train()(x).data, twin(x).data)


def test_summary_counts_a_layer_that_is_used_twice_once():
    layer = nn.Linear(3, 3)
    found = nn.Sequential(layer, nn.Tanh(), layer).summary((3,))
    assert found.parameters == 12 and found.architecture["layers"] == 1
    layer.weight.requires_grad = False
    assert nn.Sequential(layer).summary().trainable == 3
    assert "9 of them without gradient" in nn.Sequential(layer).summary()


def test_summary_takes_what_a_module_of_ones_own_holds():
    """Numbers and words are choices, whatever the attributes are called; None can be chosen too."""

    class Net(nn.Module):
        def __init__(self):
            self.hyperparameters = {"mine": 1}
            self.depth, self.rates, self._secret = 3, (0.1, 0.2), 9
            self.norm = nn.BatchNorm1d(2, momentum=None)

    found = Net().summary()
    assert found.architecture == {
        "layers": 1,
        "depth": 3,
        "rates": (0.1, 0.2),
        "norm.momentum": None,
    }
    again = pickle.loads(pickle.dumps(found))
    assert (again, again.layers, again.parameters) == (found, found.layers, 4)


def test_layer_outputs_are_those_of_the_layers_called_one_by_one():
    model = nn.LeNet5(rng=0)
    x = tg.rand(2, 1, 32, 32)
    outputs = nn.layer_outputs(model, x)
    first = model.conv1(x)  # tanh is fused into it
    np.testing.assert_array_equal(outputs["conv1"].data, model.conv1(x).data)
    np.testing.assert_array_equal(outputs["pool1"].data, model.pool1(first).data)
    np.testing.assert_array_equal(outputs[""].data, model(x).data)
    assert not vars(model.conv1).get("_forward_hooks")


# ------------------------------------------------------------------------------------------ state


def test_a_state_dict_goes_round():
    one, other = nn.MLP(4, [8, 2], rng=0), nn.MLP(4, [8, 2], rng=1)
    x = tg.rand(5, 4)
    assert not np.allclose(one(x).data, other(x).data)
    other.load_state_dict(one.state_dict())
    np.testing.assert_array_equal(one(x).data, other(x).data)


def test_a_state_dict_is_a_copy():
    layer = nn.Linear(2, 2)
    state = layer.state_dict()
    state["weight"][...] = 7
    assert not (layer.weight.data == 7).any()


def test_loading_takes_tensors_and_other_floats():
    layer = nn.Linear(2, 1)
    layer.load_state_dict({"weight": tg.ones((1, 2)), "bias": np.zeros(1, np.float64)})
    np.testing.assert_array_equal(layer.weight.data, [[1, 1]])
    assert layer.bias.dtype == np.float32


@pytest.mark.parametrize(
    "change, error, words",
    [
        (lambda s: s.pop("layers.1.bias"), KeyError, r"missing \['layers.1.bias'\]"),
        (lambda s: s.update(extra=np.ones(2)), KeyError, "extra"),
        (
            lambda s: s.update({"layers.1.bias": np.ones(3)}),
            ShapeError,
            r"layers.1.bias has shape \(2,\).*\(3,\)",
        ),
        (
            lambda s: s.update({"layers.1.bias": np.array(["a", "b"])}),
            DtypeError,
            "layers.1.bias.*<U1",
        ),
    ],
)
def test_loading_is_whole_or_not_at_all(change, error, words):
    model = nn.MLP(4, [8, 2], rng=0)
    before, state = model.state_dict(), nn.MLP(4, [8, 2], rng=1).state_dict()
    change(state)
    with pytest.raises(error, match=words):
        model.load_state_dict(state)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


# ----------------------------------------------------------------------------------------- hooks


def test_a_forward_hook_sees_inputs_and_output_until_it_is_removed():
    model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.ReLU())
    before = vars(model.layers[0]).copy()
    seen = []
    handle = model.layers[0].register_forward_hook(lambda *given: seen.append(given))
    x = tg.ones((1, 2))
    out = model(x)
    ((module, inputs, output),) = seen
    assert module is model.layers[0] and inputs == (x,)
    np.testing.assert_array_equal(tg.relu(output).data, out.data)
    handle.remove()
    handle.remove()
    model(x)
    assert len(seen) == 1 and vars(model.layers[0]) == before


def test_hooks_run_in_order_and_may_replace_the_output():
    layer = nn.ReLU()
    handles = [
        layer.register_forward_hook(lambda _m, _x, out: out + 1),
        layer.register_forward_hook(lambda _m, _x, out: out * 10),
    ]
    assert layer(tg.tensor(2.0)).item() == 30 and nn.ReLU()(tg.tensor(2.0)).item() == 2
    handles[0].remove()
    assert layer(tg.tensor(2.0)).item() == 20


def test_a_hook_that_removes_itself_does_not_disturb_the_others():
    layer, ran = nn.ReLU(), []
    first = layer.register_forward_hook(lambda *_: (ran.append("first"), first.remove())[1])
    layer.register_forward_hook(lambda *_: ran.append("second"))
    layer(tg.tensor(1.0))
    layer(tg.tensor(1.0))
    assert ran == ["first", "second", "second"]


def test_a_hook_that_is_no_function_is_refused():
    with pytest.raises(TypeError, match="cannot be called"):
        nn.ReLU().register_forward_hook(3)


# ----------------------------------------------------------------------------------------- errors


def test_an_error_inside_a_model_names_the_path_of_the_layer():
    model = nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.ReLU(), nn.Linear(5, 2)))
    with pytest.raises(ShapeError, match=r"linear: .*\(in layers\.1\.layers\.1\.Linear\(5, 2\)\)"):
        model(tg.ones((2, 4)))


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match="forward"):
        nn.Module()(1)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: nn.Linear(0, 3), "in_features=0"),
        (lambda: nn.Linear(3, 2.5), "out_features=2.5"),
        (lambda: nn.MLP(2, []), "sizes"),
        (lambda: nn.MLP(2, 3), "sizes=3"),
        (lambda: nn.MLP(2, [3, -1]), r"sizes\[1\]"),
        (lambda: nn.MLP(2, [3], activation="swoosh"), "swoosh"),
        (lambda: nn.Dropout(1.0), "p=1.0"),
        (lambda: nn.Dropout(-0.1), "p=-0.1"),
        (lambda: nn.Dropout(float("nan")), "p=nan"),
    ],
)
def test_bad_sizes_are_refused_by_name(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_unknown_parameters_of_an_activation_are_refused():
    with pytest.raises(TypeError, match="slope"):
        nn.LeakyReLU(slope=0.1)
    with pytest.raises(TypeError, match="layer 1 is a str"):
        nn.Sequential(nn.ReLU(), "relu")


# ----------------------------------------------------------------------------------------- layers


@pytest.mark.parametrize(
    "sizes, count", [([10], 7850), ([128, 10], 101770), ([300, 100, 10], 266610)]
)
def test_an_mlp_has_as_many_parameters_as_arithmetic_says(sizes, count):
    assert sum(p.size for p in nn.MLP(784, sizes).parameters()) == count


@pytest.mark.parametrize(
    "activation", ["relu", "tanh", "sigmoid", "gelu", "silu", "elu", "hardtanh", "softplus"]
)
def test_an_mlp_is_its_layers_and_activations(activation, isa):
    """The fused layer gives what the formula gives, and the gradients of all parameters are
    derivatives."""
    model = nn.MLP(3, [4, 2], activation=activation, dtype=np.float64, rng=3)
    x = np.random.default_rng(0).normal(size=(5, 3))
    w1, b1, w2, b2 = (p.data for p in model.parameters())
    hidden = nn.activations.BY_NAME[activation](x @ w1.T + b1)
    np.testing.assert_allclose(model(tg.Tensor(x)).data, hidden @ w2.T + b2, rtol=1e-12)

    def output(w1, b1, w2, b2, x):
        first, second = model.layers
        first.weight, first.bias, second.weight, second.bias = w1, b1, w2, b2
        return model(x)

    gradcheck(output, [w1, b1, w2, b2, x])


def test_the_last_layer_of_an_mlp_has_no_activation():
    out = nn.MLP(3, [4, 2], activation="relu", rng=0)(tg.randn(200, 3, rng=0))
    assert (out.data < 0).any()


def test_rng_makes_layers_repeatable_and_the_seed_of_the_package_does_too():
    def weights(**how):
        return nn.Linear(4, 3, **how).weight.tolist()

    assert weights(rng=1) == weights(rng=1) != weights(rng=2)
    tg.manual_seed(3)
    first = weights()
    tg.manual_seed(3)
    assert weights() == first


def test_linear_starts_within_its_bound():
    layer = nn.Linear(100, 50, rng=0)
    for p in layer.parameters():
        assert (
            np.abs(p.data).max() <= 0.1
            and np.abs(p.data).max() > 0.08
            and p.requires_grad
            and p.dtype == np.float32
        )


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_drops_a_share_and_keeps_the_mean(p):
    """The number of dropped elements is binomial: within 5 deviations of its mean; survivors are
    scaled by 1 / (1 - p)."""
    n = 40_000
    out = nn.Dropout(p, rng=0)(tg.ones(n, requires_grad=True))
    dropped = int((out.data == 0).sum())
    assert abs(dropped - n * p) < 5 * np.sqrt(n * p * (1 - p))
    np.testing.assert_allclose(out.data[out.data != 0], np.float32(1 / (1 - p)), rtol=1e-6)


def test_dropout_is_repeatable_by_rng_and_its_gradient_is_its_mask():
    x = tg.ones(100, requires_grad=True)
    first, second = (nn.Dropout(0.5, rng=7)(x) for _ in range(2))
    np.testing.assert_array_equal(first.data, second.data)
    first.sum().backward()
    np.testing.assert_array_equal(x.grad.data, first.data)


def test_dropout_passes_in_evaluation_and_draws_anew_in_training():
    layer, x = nn.Dropout(0.5, rng=0), tg.ones(100)
    assert not np.array_equal(layer(x).data, layer(x).data)
    assert layer.eval()(x) is x


def test_flatten_keeps_the_batch():
    assert nn.Flatten()(tg.ones((2, 3, 4))).shape == (2, 12)
    assert tg.flatten(tg.ones((2, 3, 4)), 1, 1).shape == (2, 3, 4) and tg.flatten(
        tg.ones(())
    ).shape == (1,)


@pytest.mark.parametrize(
    "name",
    [
        "ReLU",
        "LeakyReLU",
        "ELU",
        "SELU",
        "GELU",
        "SiLU",
        "Mish",
        "Softplus",
        "Sigmoid",
        "LogSigmoid",
        "Tanh",
        "Hardtanh",
        "Step",
        "Softmax",
        "LogSoftmax",
    ],
)
def test_activation_modules_are_their_functions(name):
    functions = {
        "ReLU": "relu",
        "LeakyReLU": "leaky_relu",
        "GELU": "gelu",
        "SiLU": "silu",
        "LogSigmoid": "log_sigmoid",
        "LogSoftmax": "log_softmax",
    }
    x = tg.randn(3, 4, rng=0)
    layer = getattr(nn, name)()
    np.testing.assert_array_equal(
        layer(x).data, getattr(tg, functions.get(name, name.lower()))(x).data
    )
    assert repr(layer) == f"{name}()"


# ----------------------------------------------------------------------------------------- losses


def test_losses_are_their_formulas(rng, isa):
    """Against the textbook formula, with every reduction."""
    x, t, y = (
        rng.normal(size=(4, 3)),
        rng.normal(size=(4, 3)),
        rng.integers(0, 2, (4, 3)).astype(float),
    )
    p = 1 / (1 + np.exp(-x))
    expected = {
        "mse_loss": (t, (x - t) ** 2),
        "l1_loss": (t, np.abs(x - t)),
        "hinge_loss": (2 * y - 1, np.maximum(0, 1 - x * (2 * y - 1))),
        "binary_cross_entropy_with_logits": (y, -(y * np.log(p) + (1 - y) * np.log(1 - p))),
    }
    for name, (target, wanted) in expected.items():
        loss = getattr(F, name)
        np.testing.assert_allclose(loss(tg.Tensor(x), target).data, wanted.mean(), rtol=1e-12)
        np.testing.assert_allclose(
            loss(tg.Tensor(x), target, reduction="sum").data, wanted.sum(), rtol=1e-12
        )
        np.testing.assert_allclose(
            loss(tg.Tensor(x), target, reduction="none").data, wanted, rtol=1e-12
        )
        with pytest.raises(ValueError, match="reduction 'average'"):
            loss(tg.Tensor(x), target, reduction="average")


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_is_its_formula(smoothing, reduction, rng, isa):
    logits, classes = rng.normal(size=(6, 4)), rng.integers(0, 4, 6)
    rows = np.eye(4)[classes]
    smooth = rows * (1 - smoothing) + smoothing / 4
    losses = -(smooth * (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))).sum(axis=1)
    wanted = {"mean": losses.mean(), "sum": losses.sum(), "none": losses}[reduction]
    for target in (classes, classes.astype(np.int32), classes.tolist(), tg.Tensor(classes), rows):
        got = F.cross_entropy(
            tg.Tensor(logits), target, label_smoothing=smoothing, reduction=reduction
        )
        np.testing.assert_allclose(got.data, wanted, rtol=1e-12)
    gradcheck(
        lambda x: F.cross_entropy(x, classes, label_smoothing=smoothing, reduction=reduction),
        [logits],
    )


def test_an_infinite_cost_that_nobody_pays_is_silent():
    """A target of 0 adds 0 to the divergence, and an infinite logit costs nothing where the target
    is 0: without 0 * inf on the way, of which NumPy would warn."""
    p, q = tg.Tensor([0.0, 0.25, 0.75]), tg.log(tg.Tensor([0.5, 0.25, 0.25]))
    assert F.kl_div(q, p, reduction="sum").item() == pytest.approx(0.75 * math.log(3))
    logits, no = tg.Tensor([-math.inf, 0.0]), tg.Tensor([0.0, 0.0])
    cost = F.binary_cross_entropy_with_logits(logits, no, reduction="none")
    assert cost.tolist() == pytest.approx([0, math.log(2)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_confident_right_answer_keeps_its_digits(dtype):
    """log(1 + exp(-|x|)), far below the unit in the last place of x, on either side."""
    x = np.array([-math.inf, -80, -30, -5, 5, 30, 80, math.inf], dtype)
    cost = F.binary_cross_entropy_with_logits(tg.Tensor(x), x > 0, reduction="none").data
    wanted = np.log1p(np.exp(-np.abs(x.astype(np.float64))))
    np.testing.assert_allclose(cost, wanted, rtol=4 * np.finfo(dtype).eps)


def test_loss_modules_are_their_functions(rng):
    x, t = tg.Tensor(rng.normal(size=(4, 3))), tg.Tensor(rng.normal(size=(4, 3)))
    for module, function in (
        (nn.MSELoss, F.mse_loss),
        (nn.L1Loss, F.l1_loss),
        (nn.HingeLoss, F.hinge_loss),
        (nn.BCEWithLogitsLoss, F.binary_cross_entropy_with_logits),
    ):
        assert module(reduction="sum")(x, t).item() == function(x, t, reduction="sum").item()
    labels = np.array([0, 1, 2, 0])
    assert (
        nn.CrossEntropyLoss(label_smoothing=0.1)(x, labels).item()
        == F.cross_entropy(x, labels, label_smoothing=0.1).item()
    )
    with pytest.raises(TypeError):
        nn.MSELoss(margin=1)(x, t)


@pytest.mark.parametrize(
    "layer", [getattr(nn, name)() for name in nn.__all__ if name in vars(nn.activations)]
)
def test_an_activation_module_has_the_parameters_of_its_function(layer):
    """Names and defaults stand in both, since a type checker reads the class and not the row."""
    known = inspect.signature(type(layer).function).parameters
    assert layer.params == {name: p.default for name, p in list(known.items())[1:]}


@pytest.mark.parametrize(
    "layer", [getattr(nn, name)() for name in nn.__all__ if name.endswith("Loss")]
)
def test_a_loss_module_has_the_parameters_of_its_function(layer):
    known = inspect.signature(type(layer).function).parameters
    assert layer.params == {name: p.default for name, p in list(known.items())[2:]}
