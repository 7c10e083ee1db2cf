"""`tinygrad-edu train`: load, split, train, save, and say how well it went."""

from __future__ import annotations

import argparse
import functools
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np

from .. import kernels, nn, optim
from ..data import DataLoader, RandomShift
from ..errors import DataError
from ..graph import no_grad
from ..metrics import accuracy, confusion_matrix
from ..random import manual_seed
from ..tensor import Tensor
from ..train import Run, fit
from .recipes import Parts, images_for_lenet, load_parts, recipe_for

ACTIVATIONS = tuple(nn.activations.BY_NAME)

# Settings that are no hyperparameters of a run in which they are 0.
OFF_AT_ZERO = ("label_smoothing", "shift")

# Name: constructor, its fixed arguments, and the learning rate when none is asked.
OPTIMIZERS: dict[str, tuple[Any, dict[str, float], float]] = {
    "adam": (optim.Adam, {}, 3e-3),
    "adamw": (optim.AdamW, {"weight_decay": 0.01}, 3e-3),
    "sgd": (optim.SGD, {"momentum": 0.9}, 0.05),
}


def train(arguments: argparse.Namespace) -> int:
    """Run the command; the exit code is 0, or 130 when Ctrl-C ended the training."""
    from . import complain

    _settle(arguments)
    out = _out_folder(arguments.out)
    if arguments.threads is not None:
        kernels.set_num_threads(arguments.threads)
    manual_seed(arguments.seed)
    parts = load_parts(arguments.dataset, arguments.root)
    n_in = parts.train.arrays[0].shape[1]
    if arguments.model == "lenet":
        parts = images_for_lenet(parts)
        model: nn.Module = nn.LeNet5(parts.classes, activation=arguments.activation)
    else:
        model = nn.MLP(n_in, [*arguments.hidden, parts.classes], activation=arguments.activation)
    began = time.perf_counter()
    history = _fit(model, arguments, parts, out)
    seconds = time.perf_counter() - began
    if out is not None:
        history.save(out / "history.json")
    if history.interrupted:
        saved = (
            f"the model and its history are in {out}."
            if out
            else "nothing was saved, as --out was not given."
        )
        return complain(
            f"interrupted after {history.epochs} of {arguments.epochs} epochs; {saved}", 130
        )
    result = _result(arguments, model, parts, history, seconds)
    print(json.dumps(result, allow_nan=False) if arguments.json else _summary(result, parts))
    return 0


def _settle(arguments: argparse.Namespace) -> None:
    """Put the recipe's settings, and the optimizer's learning rate, where nothing was asked."""
    recipe = recipe_for(arguments.dataset, arguments.model)
    for name in ("hidden", "activation", "epochs", "batch_size", *OFF_AT_ZERO):
        if getattr(arguments, name) is None:
            setattr(arguments, name, getattr(recipe, name))
    if arguments.lr is None:
        arguments.lr = OPTIMIZERS[arguments.optimizer][2]


def _out_folder(out: str | None) -> Path | None:
    if out is None:
        return None
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise DataError(
            f"--out {out} is a file; expected a folder for model.npz and history.json.",
            code="wrong-file",
        )
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _fit(model: Any, arguments: argparse.Namespace, parts: Parts, out: Path | None) -> Any:
    construct, fixed, _ = OPTIMIZERS[arguments.optimizer]
    optimizer = construct(model.parameters(), lr=arguments.lr, **fixed)

    def anneal(run: Run) -> None:
        """The rate falls along half a cosine: Loshchilov, Hutter, arXiv:1608.03983, eq. 5."""
        if run.epoch < run.epochs:
            run.optimizer.lr = arguments.lr * (1 + math.cos(math.pi * run.epoch / run.epochs)) / 2

    examples = RandomShift(parts.train, arguments.shift) if arguments.shift else parts.train
    return fit(
        model,
        functools.partial(nn.functional.cross_entropy, label_smoothing=arguments.label_smoothing),
        optimizer,
        DataLoader(examples, arguments.batch_size, shuffle=True),
        DataLoader(parts.val, 256),
        epochs=arguments.epochs,
        callbacks=[anneal],
        progress=False if arguments.quiet else None,
        checkpoint=None if out is None else out / "model.npz",
        compile=arguments.compile,
    )


def _predictions(model: Any, inputs: np.ndarray) -> np.ndarray:
    """The predicted class of each input, in batches, since activations take memory too."""
    with no_grad():
        starts = range(0, len(inputs), 1000)
        return np.concatenate(
            [model(Tensor(inputs[i : i + 1000])).data.argmax(axis=1) for i in starts]
        )


def _result(
    arguments: argparse.Namespace, model: Any, parts: Parts, history: Any, seconds: float
) -> dict[str, Any]:
    predicted = {name: _predictions(model, part.arrays[0]) for name, part in _named(parts)}
    reached = {
        f"{name}_accuracy": accuracy(predicted[name], part.arrays[1])
        for name, part in _named(parts)
    }
    matrix = confusion_matrix(predicted["test"], parts.test.arrays[1], parts.classes)
    system = kernels.info()
    return {
        "dataset": arguments.dataset,
        "examples": {name: len(part) for name, part in _named(parts)},
        "note": parts.note,
        "inputs": int(np.prod(parts.train.arrays[0].shape[1:])),
        "classes": parts.classes,
        "model": arguments.model,
        "hidden": list(arguments.hidden),
        "activation": arguments.activation,
        "parameters": sum(int(parameter.data.size) for parameter in model.parameters()),
        "hyperparameters": hyperparameters(arguments, model),
        "optimizer": arguments.optimizer,
        "lr": arguments.lr,
        "batch_size": arguments.batch_size,
        "epochs": history.epochs,
        "best_epoch": history.best_epoch,
        "seed": arguments.seed,
        **reached,
        "seconds": seconds,
        "compiled": history.eager_because is None,
        "eager_because": history.eager_because,
        "threads": system["threads"],
        "kernels": system["kernels"],
        "isa": system["isa"],
        "confusion_matrix": matrix.tolist(),
        "out": arguments.out,
    }


def _named(parts: Parts) -> list[tuple[str, Any]]:
    return [("train", parts.train), ("val", parts.val), ("test", parts.test)]


def hyperparameters(arguments: argparse.Namespace, model: nn.Module) -> dict[str, Any]:
    """What was chosen and not learned, in two groups, counted as `Module.summary` does: each
    layer's width is a choice."""
    architecture = model.summary().architecture
    n_architecture = len(architecture)
    if arguments.model == "mlp":
        architecture = {
            "hidden_layers": len(arguments.hidden),
            "widths": list(arguments.hidden),
            "activation": arguments.activation,
        }
    training = {
        "optimizer": arguments.optimizer,
        **OPTIMIZERS[arguments.optimizer][1],
        "lr": arguments.lr,
        "lr_schedule": "half cosine",
        "batch_size": arguments.batch_size,
        "epochs": arguments.epochs,
        **{name: getattr(arguments, name) for name in OFF_AT_ZERO if getattr(arguments, name)},
    }
    return {
        "count": n_architecture + len(training),
        "architecture_count": n_architecture,
        "training_count": len(training),
        "architecture": architecture,
        "training": training,
    }


def _summary(result: dict[str, Any], parts: Parts) -> str:
    examples, chosen = result["examples"], result["hyperparameters"]
    layers = " -> ".join(map(str, [result["inputs"], *result["hidden"], result["classes"]]))
    widths = f"widths {' '.join(map(str, result['hidden']))}"
    architecture = f"hidden layers {len(result['hidden'])}, {widths}"
    if result["model"] == "lenet":
        layers, architecture = "LeNet-5", "its layers, filters, kernels, strides and widths"
    training = ", ".join(
        f"{name.replace('_', ' ')} {value:g}"
        if isinstance(value, float)
        else f"{name.replace('_', ' ')} {value}"
        for name, value in chosen["training"].items()
    )
    lines = [
        f"data             {result['dataset']}: {examples['train']:,} training, "
        f"{examples['val']:,} validation, {examples['test']:,} test examples",
        f"                 {result['note']}",
        f"network          {layers}, {result['activation']}",
        f"parameters       {result['parameters']:,} learned",
        f"hyperparameters  {chosen['count']} chosen",
        f"  architecture   {chosen['architecture_count']}: {architecture}, activation "
        f"{result['activation']}",
        f"  training       {chosen['training_count']}: {training}",
        f"trained          {result['epochs']} epochs in {result['seconds']:.2f} s by "
        f"{result['kernels']} kernels{' for ' + result['isa'] if result['isa'] else ''} (threads: "
        f"{result['threads']}, {'compiled' if result['compiled'] else 'eager'}); kept epoch "
        f"{result['best_epoch']}, the best on validation",
        f"accuracy         train {result['train_accuracy']:.4f}   validation "
        f"{result['val_accuracy']:.4f}   test {result['test_accuracy']:.4f}",
        "",
        *_matrix_lines(result["confusion_matrix"]),
    ]
    if result["out"] is not None:
        lines += ["", f"saved            model.npz and history.json in {result['out']}"]
    return "\n".join(lines)


def _matrix_lines(matrix: list[list[int]]) -> list[str]:
    width = max(3, max(len(str(count)) for row in matrix for count in row)) + 1
    header = "true \\ said" + "".join(f"{column:>{width}}" for column in range(len(matrix)))
    return [
        header,
        *(
            f"{number:>11}" + "".join(f"{count or '.':>{width}}" for count in row)
            for number, row in enumerate(matrix)
        ),
    ]
