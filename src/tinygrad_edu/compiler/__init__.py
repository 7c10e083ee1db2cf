"""Watching a computation instead of only running it: the traced payload and the program that it
writes."""

from .capture import Instruction, Program, Traced, trace

__all__ = ["Instruction", "Program", "Traced", "trace"]
