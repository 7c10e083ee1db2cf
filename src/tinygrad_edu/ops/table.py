"""The table of operations in words, made from the rows."""

from ..op import OPS, Op


def operations_table() -> str:
    """A Markdown table of every public operation: call, meaning, convention at kinks and ties,
    whether C computes it."""
    head = ["| operation | meaning | at kinks and ties | kernels |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *(_line(op) for op in OPS.values() if op.public)])


def _line(op: Op) -> str:
    inputs = ", ".join(name.rstrip("?") for name in op.inputs)
    params = "".join(f", {name}={default!r}" for name, default in op.defaults.items())
    meaning = " ".join((op.function.__doc__ or "").split())
    gradient = op.kinks or ("" if op.differentiable else "no gradient")
    kernels = "C" if op.kernel_vjp else "NumPy"
    return f"| `{op.name}({inputs}{params})` | {meaning} | {gradient} | {kernels} |"
