"""The gate in front of every C kernel, and the NumPy reference behind it: the only package that
knows the C module.

It takes any array; what a kernel can't read is copied first or left to the formula in
`reference.py`, which is also the whole path when there is no C module or when
TINYGRAD_EDU_KERNELS=numpy asks for none. Outputs are always fresh, so no output overlaps an input.
A kernel is given an array by its id and keeps nothing alive: local names hold its arrays while C
runs, without the GIL.

A forward that has a vjp kernel carries it as `.vjp(g, out, inputs, params, needs, stash)`: a faster
copy of the row's formula for plain arrays, which answers NotImplemented where it does not apply.

    library.py      loading, choosing, and what every gate needs
    elementwise.py  reduction.py  matrix.py  convolution.py  pooling.py one file per family
    normalization.py  loss.py  optimizer.py
    reference.py    the formulas in NumPy: specification, oracle, fallback
"""

from .convolution import conv2d, conv2d_input, conv2d_weight
from .elementwise import elementwise
from .library import info, set_num_threads, use_isa
from .loss import REDUCTIONS, cross_entropy, reduced
from .matrix import linear, matmul
from .normalization import normalize
from .optimizer import adam_step, sgd_step
from .pooling import avg_pool2d, avg_pool2d_back, max_pool2d, to_winners
from .reduction import log_softmax, max, softmax, sum

__all__ = [
    "REDUCTIONS",
    "adam_step",
    "avg_pool2d",
    "avg_pool2d_back",
    "conv2d",
    "conv2d_input",
    "conv2d_weight",
    "cross_entropy",
    "elementwise",
    "info",
    "linear",
    "log_softmax",
    "matmul",
    "max",
    "max_pool2d",
    "normalize",
    "reduced",
    "set_num_threads",
    "sgd_step",
    "softmax",
    "sum",
    "to_winners",
    "use_isa",
]
