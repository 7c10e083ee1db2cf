"""The rows in words: what each operation computes, and what it does where a derivative does not
exist. `docs/operations.md` is made of these tables."""

from ..op import OPS, Op


def operations_table() -> str:
    """A Markdown table of every operation and loss: call, meaning, convention at kinks and ties,
    whether C computes its gradient."""
    return _table(
        ("operation", "meaning", "at kinks and ties", "kernels"),
        [
            (_call(op), _meaning(op), _convention(op), "C" if op.kernel_vjp else "NumPy")
            for op in OPS.values()
            if _shown(op)
        ],
    )


def conventions_table() -> str:
    """A Markdown table of the operations that have a kink, a tie or an edge, and of the slope
    there."""
    return _table(
        ("operation", "its slope where there is none"),
        [(_call(op), op.kinks) for op in OPS.values() if op.kinks and _shown(op)],
    )


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    escaped = "\\|"
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(x.replace('|', escaped) for x in line)} |" for line in lines)


def _shown(op: Op) -> bool:
    return op.public or _is_loss(op)


def _is_loss(op: Op) -> bool:
    return "reduction" in op.defaults


def _call(op: Op) -> str:
    inputs = ", ".join(name.rstrip("?") for name in op.inputs)
    params = "".join(f", {name}={default!r}" for name, default in op.defaults.items())
    return f"`{'nn.functional.' if _is_loss(op) else ''}{op.name}({inputs}{params})`"


def _meaning(op: Op) -> str:
    return " ".join((op.doc or "element by element").split())


def _convention(op: Op) -> str:
    return op.kinks or ("" if op.differentiable else "no gradient")
