"""The gate in front of every C kernel, and the NumPy reference behind it: the only package that
knows the C module.

It takes any array; what a kernel can't read is copied first or left to the formula in
`reference.py`, which is also the whole path when there is no C module or when
TINYGRAD_EDU_KERNELS=numpy asks for none. Outputs are always fresh, so no output overlaps an input.
Arrays are held in local names while C runs, without the GIL.

A forward that has a vjp kernel carries it as `.vjp(g, out, inputs, params, needs, stash)`: a faster
copy of the row's formula for plain arrays, which answers NotImplemented where it does not apply.

    library.py      loading, choosing, and what every gate needs
    elementwise.py  reduction.py  matrix.py  loss.py  optimizer.py      one file per family
    reference.py    the formulas in NumPy: specification, oracle, fallback
"""

from .elementwise import elementwise
from .library import info, set_num_threads, use_isa
from .loss import REDUCTIONS, cross_entropy, reduced
from .matrix import linear, matmul
from .optimizer import adam_step, sgd_step
from .reduction import log_softmax, max, softmax, sum

__all__ = [
    "REDUCTIONS",
    "adam_step",
    "cross_entropy",
    "elementwise",
    "info",
    "linear",
    "log_softmax",
    "matmul",
    "max",
    "reduced",
    "set_num_threads",
    "sgd_step",
    "softmax",
    "sum",
    "use_isa",
]
