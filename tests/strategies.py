"""What the table tests draw: inputs for a row, from its own domain and cases."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tinygrad_edu.domains import Reals
from tinygrad_edu.op import OPS
from tinygrad_edu.testing import lay_out
from tinygrad_edu.testing.strategies import MARGIN, broadcastable_shapes, layouts, numbers, seeds

# Kinks that lie on a curve between several inputs, which no list of points to avoid can describe.
NEAR_KINK = {
    "hinge_loss": lambda x, t: np.abs(x * t - 1) < MARGIN,
    "linear": lambda x, weight, bias: np.abs(x @ weight.T + bias) < MARGIN,  # that of its relu
}


def rows(choose=lambda op: True) -> list:
    """The rows of the table as test parameters, those chosen."""
    return [op for op in OPS.values() if choose(op)]


def name(op) -> str:
    return op.name


def differentiable(op) -> bool:
    return op.differentiable


def elementwise(op) -> bool:
    return op.cases is None


def call(op, inputs, params):
    """The public function of a row on these inputs."""
    return (
        op.function(tuple(inputs), **params) if op.arity is None else op.function(*inputs, **params)
    )


def as_function(op, params):
    """The row as a function of its inputs alone, of the row's name."""

    def function(*inputs):
        return call(op, inputs, params)

    function.__name__ = op.name
    return function


def domain_of(op, position):
    return op.domain[min(position, len(op.domain) - 1)]


def without_ties(rng, domains, shapes) -> list:
    """Reals of which no two are close, in one input or between inputs."""
    total = sum(int(np.prod(shape)) for shape in shapes)
    places = rng.permutation(total) + 0.5 + rng.uniform(-0.2, 0.2, total)
    made, used = [], 0
    for domain, shape in zip(domains, shapes):
        n = int(np.prod(shape))
        share = places[used : used + n].reshape(shape) / max(total, 1)
        made.append(domain.low + (domain.high - domain.low) * share)
        used += n
    return made


def values(op, rng, shapes, distinct) -> list:
    """One array for each shape, away from the row's kinks."""
    domains = [domain_of(op, i) for i in range(len(shapes))]
    if distinct and all(isinstance(d, Reals) for d in domains):
        return without_ties(rng, domains, shapes)
    near = NEAR_KINK.get(op.name)
    while True:
        made = [numbers(rng, domain, shape) for domain, shape in zip(domains, shapes)]
        if near is None or not near(*made).any():
            return made


@st.composite
def samples(draw, op, dtype=np.float64, layout=layouts):
    """(inputs, params) for a row: read-only arrays, each in a drawn layout."""
    if op.cases is None:
        shapes, params, distinct = draw(broadcastable_shapes(op.arity)), {}, "tie" in op.kinks
    else:
        case = draw(st.sampled_from(op.cases))
        shapes, params, distinct = case.shapes, case.params, case.distinct
    made = values(op, np.random.default_rng(draw(seeds)), shapes, distinct)
    typed = [x.astype(dtype) if x.dtype.kind == "f" else x for x in made]
    return [lay_out(x, draw(layout)) for x in typed], dict(params)
