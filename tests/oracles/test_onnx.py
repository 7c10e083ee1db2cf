"""ONNX's node cases: what each operator that we have must give, as the standard's authors say.

The package `onnx` builds the cases in memory; nothing is read or downloaded. Every case of every
operator in OPERATORS is run, or is not for a stated reason: its dtypes are not ours, or it stands
in OUT_OF_SCOPE. A case that stands there and passes all the same is an error too, so the table
hides nothing.
"""

from __future__ import annotations

import collections
import fnmatch

import numpy as np
import pytest
from oracle import oracle

import tinygrad_edu as tg
from tinygrad_edu.dtypes import SUPPORTED
from tinygrad_edu.op import OPS

onnx = oracle("onnx")

from onnx_cases import node_cases  # noqa: E402
from onnx_operators import OPERATORS  # noqa: E402

# {names of cases: why we cannot run them}
OUT_OF_SCOPE = {
    "arg*_select_last_index": "of equal extreme entries ours takes the first, as NumPy does",
    "averagepool_1d_* averagepool_3d_* maxpool_1d_* maxpool_3d_*": "windows move over images only",
    "convtranspose_1d convtranspose_3d": "windows move over images only",
    "averagepool_2d_same_* maxpool_2d_same_*": "padding that differs before and after",
    "averagepool_2d_pads* maxpool_2d_pads": "padding of more than half the window is refused",
    "averagepool_2d_ceil* maxpool_2d_ceil*": "a last window that is not whole (ceil_mode)",
    "averagepool_2d_dilations maxpool_2d_dilations": "pooling with dilation",
    "maxpool_with_argmax_*": "the places of the largest entries as a second output",
    "convtranspose_output_shape convtranspose_kernel_shape convtranspose_autopad_same":
        "padding that follows from the shape of the result",
    "cumsum_*_exclusive": "sums without the entry itself",
    "cumsum_2d_int32": "sums of int32 are int64, as in NumPy",
    "div_*int*": "/ divides integers truly, as in Python and NumPy",
    "training_dropout_default* training_dropout training_dropout_mask":
        "the numbers that were drawn are those of ONNX's generator",
    "eyelike_populate_off_main_diagonal": "eye has ones on the main diagonal only",
    "nllloss_*_no_weight*_ii sce_*_no_weight*_ii* nllloss_NCd1_ii": "classes that are ignored",
    "nllloss_NCd1_weight* nllloss_*_with_weight* nllloss_*_mean_weight* nllloss_*_sum_weight*":
        "classes that weigh differently",
    "sce_none_weights* sce_mean_weight* sce_*_mean_weight* sce_*_sum_weight*":
        "classes that weigh differently",
    "onehot_negative_indices onehot_out_of_range_indices": "classes below 0 are refused",
    "edge_pad reflect_pad wrap_pad": "padding other than with a constant",
    "reduce_max_empty_set* reduce_min_empty_set": "the extreme of nothing is refused, as in NumPy",
    "selu selu_example": "selu's two constants are fixed",
}  # fmt: skip


class Case:
    """One node: its operator, inputs (None where absent), wanted outputs, and attributes, which
    remember what was asked for."""

    def __init__(self, case):
        node = case.model.graph.node[0]
        self.name, self.domain, self.operator = case.name[len("test_") :], node.domain, node.op_type
        given, self.outputs = ([_array(x) for x in xs] for xs in case.data_sets[0])
        present = iter(given)
        self.inputs = [next(present) if name else None for name in node.input]
        self.given = {x.name: onnx.helper.get_attribute_value(x) for x in node.attribute}
        self.asked = set()
        self.n_outputs = len(node.output)

    def __call__(self, name, default):
        self.asked.add(name)
        return self.given.get(name, default)

    @property
    def is_ours(self):
        """Whether all its arrays have dtypes that a Tensor can have."""
        return all(
            isinstance(x, np.ndarray) and x.dtype in SUPPORTED
            for x in (*self.inputs, *self.outputs)
            if x is not None
        )

    def why_not(self):
        """The reason for which it stands in OUT_OF_SCOPE, or None."""
        for patterns, reason in OUT_OF_SCOPE.items():
            if any(fnmatch.fnmatchcase(self.name, pattern) for pattern in patterns.split()):
                return reason
        return None

    def run(self):
        """Our outputs against the wanted ones. Raises where one differs."""
        inputs = [x if x is None else tg.Tensor(x.copy()) for x in self.inputs]
        with np.errstate(divide="ignore"):  # some are about infinities; C kernels do not warn
            got = OPERATORS[self.operator](self, *inputs)
        got = got if isinstance(got, (tuple, list)) else (got,)
        unread = self.given.keys() - self.asked
        assert not unread, f"attributes {sorted(unread)} are not in our words"
        assert len(got) >= len(self.outputs), f"{len(got)} of {len(self.outputs)} outputs"
        largest = max((x.size for x in inputs if x is not None), default=1)
        for ours, theirs in zip(got, self.outputs):
            _compare(np.asarray(ours), theirs, largest)


def _array(x):
    if isinstance(x, onnx.TensorProto):
        return onnx.numpy_helper.to_array(x)
    return np.asarray(x) if isinstance(x, np.generic) else x


def _compare(ours, theirs, n_inputs):
    """Equal integers; floats within the rounding of both formulas in the case's own dtype.

    One operation is right to 4 units in the last place on either side, each of the n / outputs
    terms that are added rounds once more, and below 1 the units are those of 1: what is added or
    subtracted in the cases is of that size.
    """
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    if theirs.dtype.kind != "f":
        np.testing.assert_array_equal(ours, theirs)
        return
    terms = n_inputs // max(theirs.size, 1)
    tolerance = (8 + terms) * np.finfo(theirs.dtype).eps
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.fixture(scope="module")
def cases():
    """{operator: its cases}, but for those that spell another case out in other operators."""
    found = collections.defaultdict(list)
    for made in node_cases():
        if "_expanded" not in made.name:
            case = Case(made)
            found[case.domain, case.operator].append(case)
    return found


@pytest.fixture(scope="module")
def rows_run():
    """The names of the rows that were called while the tests of this file ran."""
    seen = set()
    record = tg.Tensor.record.__func__

    def noted(cls, op, inputs, params):
        seen.add(op.name)
        return record(cls, op, inputs, params)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tg.Tensor, "record", classmethod(noted))
        yield seen


@pytest.mark.parametrize("operator", OPERATORS)
def test_forward_is_onnx(operator, cases):
    """Every case whose dtypes are ours agrees, or stands in OUT_OF_SCOPE and does not."""
    wrong = []
    for case in filter(lambda case: case.is_ours, cases["", operator]):
        try:
            case.run()
        except Exception as error:
            if case.why_not() is None:
                wrong.append(f"{case.name} {case.given}: {type(error).__name__}: {error}")
        else:
            if case.why_not():
                wrong.append(f"{case.name} passes: take it out of OUT_OF_SCOPE")
    assert not wrong, "\n\n".join(wrong)


def test_no_case_is_dropped_and_every_row_is_run(cases, rows_run, report):
    """Counts what became of each case, and names the rows that none of them reaches."""
    lines, totals = [], collections.Counter()
    for operator in OPERATORS:
        count = collections.Counter()
        for case in cases["", operator]:
            if not case.is_ours:
                count["dtype"] += 1
            elif case.why_not():
                count["scope"] += 1
            else:
                case.run()
                count["ran"] += 1
        lines.append(
            f"{operator:28}{count['ran']:4} ran{count['scope']:4} out of scope"
            f"{count['dtype']:4} of other dtypes"
        )
        totals += count
    print("\n".join(lines))
    known = {operator for domain, operator in cases if not domain}
    report(
        f"onnx {onnx.__version__}: {totals['ran']} node cases of {len(OPERATORS)} operators agree; "
        f"{totals['scope']} out of scope, {totals['dtype']} of dtypes that are not here; "
        f"{len(known - OPERATORS.keys())} operators have no counterpart"
    )
    assert not OPERATORS.keys() - known, "operators without a case"
    report(f"onnx: no case runs {', '.join(sorted(OPS.keys() - rows_run))}")
