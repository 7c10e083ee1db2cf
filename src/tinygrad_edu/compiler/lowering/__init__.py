"""From instructions to calls of C kernels: one row for each operation that has some.

To give an operation its place in C programs, add its row to the file of its family; without one it
works, run by Python, and a program that uses it is several C calls with Python between them.

    table.py        the rows, and what they share
    elementwise.py  moving.py  products.py  losses.py  images.py  normalization.py    by family
    update.py       the steps of optimizers
"""

from __future__ import annotations

from ..calls import SUFFIX, Builder, PythonCall
from ..instruction import Instruction, Place
from . import images, losses, normalization, products  # noqa: F401  (they fill the table)
from .elementwise import unary, unary_vjp
from .moving import check, counted, moved, write
from .table import BACKWARD, FORWARD, Row
from .update import lower_update

__all__ = ["lower"]


def lower(builder: Builder, instructions: list[Instruction], in_c: bool) -> None:
    """Enter every instruction as calls of C kernels where there are some (and `in_c`), as Python
    elsewhere."""
    for step in instructions:
        if step.kind == "draw" or (step.kind == "forward" and _is_view(step)):
            continue
        builder.instruction = step
        before = len(builder.calls)
        done = in_c and (_floating(step) and _row(step)(builder, step) or counted(builder, step))
        if not done:
            del builder.calls[before:]
            builder.calls.append(PythonCall(step))


def _is_view(step: Instruction) -> bool:
    return step.op.view and step.outputs[0].of is not None


def _floating(step: Instruction) -> bool:
    """Whether all that is computed has one dtype that C knows, and there is something of it."""
    made = [p for p in step.outputs if p is not None] or [
        x for x in step.inputs if isinstance(x, Place)
    ]
    return all(p.dtype == made[0].dtype and p.dtype in SUFFIX and p.size for p in made)


def _row(step: Instruction) -> Row:
    if step.kind == "forward":
        return FORWARD.get(step.op.name) or (moved if step.op.view else unary)
    if step.kind == "vjp":
        return BACKWARD.get(step.op.name) or unary_vjp
    return {"write": write, "check": check, "update": lower_update}[step.kind]
