"""What can be said on the command line, checked here: a mistake costs no training time."""

from __future__ import annotations

import argparse
import math
from typing import Any, NoReturn

from .info import info, version
from .recipes import MODELS, RECIPES
from .train import ACTIVATIONS, OPTIMIZERS, train


class Parser(argparse.ArgumentParser):
    """argparse, saying what is wrong in one line instead of after a screen of usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def parser() -> Parser:
    """The parser of the command line; what it returns has `command`, the function to call."""
    top = Parser(
        prog="tinygrad-edu",
        description="Train small neural networks on small data.",
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"tinygrad-edu {version()}")
    commands = top.add_subparsers(title="commands", required=True, metavar="{train,info}")
    _add_train(commands)
    about = commands.add_parser(
        "info",
        allow_abbrev=False,
        help="what this installation computes with",
        description="Version, kernels, instruction set, threads, default dtype.",
    )
    about.add_argument("--json", action="store_true", help="print one JSON object")
    about.set_defaults(command=info)
    return top


def _add_train(commands: Any) -> None:
    command = commands.add_parser(
        "train",
        allow_abbrev=False,
        help="train a network and report its accuracy",
        description="Train a multilayer perceptron or LeNet-5. The weights that are kept are those "
        "of the epoch with the lowest validation loss; the test part is looked at once, at the "
        "end.",
    )
    add = command.add_argument
    add(
        "dataset",
        nargs="?",
        default="digits",
        metavar="DATASET",
        help=f"{', '.join(RECIPES)} (default: digits, which come with the package)",
    )
    add("--root", metavar="DIR", help="the folder of the IDX files, for mnist and fashion_mnist")
    add(
        "--model",
        choices=MODELS,
        default="mlp",
        metavar="NAME",
        help="mlp, a multilayer perceptron, or lenet, LeNet-5, which reads images (default: mlp)",
    )
    add("--hidden", type=_whole(1), nargs="+", metavar="N", help="sizes of the hidden layers")
    add(
        "--activation",
        choices=ACTIVATIONS,
        metavar="NAME",
        help=f"{', '.join(ACTIVATIONS)} (default: relu, for lenet gelu)",
    )
    add(
        "--optimizer",
        choices=list(OPTIMIZERS),
        default="adam",
        metavar="NAME",
        help=f"{', '.join(OPTIMIZERS)} (default: adam)",
    )
    add(
        "--lr",
        type=_positive,
        metavar="RATE",
        help="learning rate of the first epoch, falling to 0 along a half cosine (default: "
        "by optimizer)",
    )
    add("--batch-size", type=_whole(1), metavar="N", help="examples a step")
    add("--epochs", type=_whole(1), metavar="N", help="passes over the training part")
    add(
        "--label-smoothing",
        type=_fraction,
        metavar="PART",
        help="part of each target spread over all classes (default: 0.1 for digits, else 0)",
    )
    add(
        "--shift",
        type=_whole(0),
        metavar="PIXELS",
        help="move training images at random by up to so much (default: 1 for mnist and "
        "fashion_mnist, else 0)",
    )
    add("--seed", type=_whole(0), default=0, metavar="N", help="of everything random (default: 0)")
    add("--threads", type=_whole(1), metavar="N", help="threads of the kernels")
    add(
        "--compile",
        action=argparse.BooleanOptionalAction,
        help="run the training step as a compiled program (default: where that can be done; "
        "--compile says why where it cannot)",
    )
    add("--out", metavar="DIR", help="save model.npz and history.json there")
    add("--json", action="store_true", help="print one JSON object instead of the summary")
    add("--quiet", action="store_true", help="show no progress")
    command.set_defaults(command=_checked(command))


def _checked(command: argparse.ArgumentParser) -> Any:
    """`train`, after the checks that concern two options at once."""

    def run(arguments: argparse.Namespace) -> int:
        # Not argparse's `choices`: they would answer a misspelt option by blaming its value as a
        # data set.
        recipe = RECIPES.get(arguments.dataset)
        if recipe is None:
            command.error(
                f"unknown data set {arguments.dataset!r}; choose from {', '.join(RECIPES)}"
            )
        if recipe.needs_root and arguments.root is None:
            command.error(
                f"{arguments.dataset} is not downloaded: say with --root DIR where its IDX files "
                "are"
            )
        if arguments.root is not None and not recipe.needs_root:
            command.error(
                f"--root is for mnist and fashion_mnist; {arguments.dataset} needs no files"
            )
        if arguments.shift and not recipe.images:
            command.error(f"--shift moves images, and {arguments.dataset} has points")
        if arguments.model == "lenet" and not recipe.images:
            command.error(f"--model lenet reads images, and {arguments.dataset} has points")
        if arguments.model == "lenet" and arguments.hidden is not None:
            command.error("--hidden is for --model mlp; the layers of lenet are given")
        return train(arguments)

    return run


def _whole(least: int) -> Any:
    def whole(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
        return value

    return whole


def _fraction(text: str) -> float:
    value = _number(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 0 and below 1")
    return value


def _positive(text: str) -> float:
    value = _number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number above 0")
    return value


def _number(text: str) -> float:
    """A float; NaN, which is within no limits, for what is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
