"""NumPy, written by hand the way one would: no temporary that a plain `out=` saves."""

from __future__ import annotations

import contextlib

import numpy as np
from inputs import Contender, batch, operands, parameters, points, repeat, sample


def about() -> str:
    blas = ""
    with contextlib.suppress(ImportError):
        from threadpoolctl import threadpool_info

        for pool in threadpool_info():
            if pool["user_api"] == "blas":
                blas = f" ({pool['internal_api']} {pool['version']}, {pool['architecture']})"
    return f"NumPy {np.__version__}{blas}"


def gemm(spec: dict) -> Contender:
    a, b = operands(spec)
    a = a if spec["form"][0] == "N" else a.T
    b = b if spec["form"][1] == "N" else b.T
    return Contender(repeat(lambda: a @ b), sample(a @ b))


def sigmoid(x: np.ndarray) -> np.ndarray:
    out = np.negative(x)
    np.exp(out, out=out)
    out += 1
    return np.reciprocal(out, out=out)


def elementwise(spec: dict) -> Contender:
    function = sigmoid if spec["function"] == "sigmoid" else getattr(np, spec["function"])
    x = points(spec)
    return Contender(repeat(lambda: function(x)), sample(function(x)))


def forward(spec: dict) -> Contender:
    arrays, x = parameters(spec), batch(spec)[0]
    layers = list(zip(arrays[::2], arrays[1::2]))

    def network() -> np.ndarray:
        h = x
        for i, (weight, bias) in enumerate(layers):
            h = h @ weight.T
            h += bias
            if i < len(layers) - 1:
                np.maximum(h, 0, out=h)
        return h

    return Contender(repeat(network), sample(network()))


BUILD = {"gemm": gemm, "elementwise": elementwise, "forward": forward}
