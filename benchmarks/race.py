"""Peers side by side: each in its own process, a block of each in turn, round after round.

What two programs cost is only comparable if they meet the same machine. So the blocks alternate
(A B C A B C ...) at intervals of some hundredths of a second, a peer's threads and cores are fixed
before it starts, and all peers but the one whose turn it is are stopped (SIGSTOP where there is
one): worker threads that spin while they wait for work would otherwise be paid for by the others.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from works import Work

PEERS = Path(__file__).parent / "peers"
MODULES = {
    "ours": "ours",
    "numpy": "numpy_peer",
    "torch": "torch_peer",
    "jax": "jax_peer",
    "sklearn": "sklearn_peer",
    "micrograd": "micrograd_peer",
    "peak": "peak_peer",
}
SERIAL = ("micrograd",)  # Python objects only: threads make no difference to measure
STEERED = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # would make OpenBLAS another one


class PeerError(RuntimeError):
    """A peer's process ended; the message holds the end of what it wrote to standard error."""


class Disagreement(RuntimeError):
    """Peers computed different numbers, so their times say nothing about each other."""


class Peer:
    """One process: a peer with a number of threads. It sleeps unless it is asked something."""

    def __init__(self, name: str, threads: int, python: str, block: float) -> None:
        self.name, self.threads = name, threads
        environment = {k: v for k, v in os.environ.items() if k not in STEERED}
        for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR"):
            environment[f"{library}_NUM_THREADS"] = str(threads)
        environment["NPROC"] = str(threads)  # what XLA sizes its pool by
        if threads == 1:
            environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
        environment["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # no pool of compilers in the background
        environment["BENCHMARK_BLOCK"] = str(block)
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed with the process)
        self._process = subprocess.Popen(
            [python, str(PEERS / "serve.py"), MODULES[name]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment,
        )

    def greet(self) -> dict[str, str]:
        """Wait until it has imported what it measures: {"about": ...} or {"missing": why not}."""
        greeting = self._answer()
        self._let(run=False)
        return greeting

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, **order: Any) -> dict[str, Any]:
        """Wake it, give an order, wait for the answer, put it to sleep."""
        self._let(run=True)
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended, which _answer will say
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        answer = self._answer()
        self._let(run=False)
        return answer

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._errors.seek(0)
            tail = self._errors.read()[-2000:]
            raise PeerError(f"the peer {self.name} ended with {self._process.returncode}:\n{tail}")
        return dict(json.loads(line))

    def _let(self, run: bool) -> None:
        if hasattr(signal, "SIGSTOP"):
            self._process.send_signal(signal.SIGCONT if run else signal.SIGSTOP)

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()


@dataclass(frozen=True)
class Timing:
    """A contender (`torch/fused`) with a number of threads: seconds of one repetition, by round."""

    contender: str
    threads: int
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """Half the distance of the quartiles, as a part of the median."""
        low, _, high = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return (high - low) / 2 / self.median


class Field:
    """The peers of a run: opened with `with`, by name and number of threads."""

    def __init__(
        self,
        names: Iterable[str],
        threads: Sequence[int],
        *,
        pythons: Mapping[str, str] = {},
        block: float = 0.02,
    ) -> None:
        self.peers: dict[tuple[str, int], Peer] = {}
        self.missing: dict[str, str] = {}  # peer: why it cannot be imported
        self.failed: dict[str, str] = {}  # contender and work: why it was not built
        self._abouts: list[str] = []
        self._wanted = [
            (name, n, pythons.get(name, sys.executable))
            for name in names
            for n in (threads[:1] if name in SERIAL else threads)
        ]
        self._block = block

    def __enter__(self) -> Field:
        try:
            for name, threads, python in self._wanted:
                self.peers[name, threads] = Peer(name, threads, python, self._block)
            for key, peer in list(self.peers.items()):
                greeting = peer.greet()
                if "missing" in greeting:
                    self.missing[peer.name] = greeting["missing"]
                    self.peers.pop(key).close()
                else:
                    self._abouts.append(greeting["about"])
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for peer in self.peers.values():
            peer.close()

    def dismiss_the_dead(self) -> None:
        """Go on without the peers whose process has ended."""
        for key in [key for key, peer in self.peers.items() if peer.has_ended]:
            self.peers.pop(key).close()

    def about(self) -> list[str]:
        """What each peer says of itself, once."""
        return list(dict.fromkeys(self._abouts))

    def race(self, work: Work, rounds: int) -> list[Timing]:
        """Time every contender of `work` that is present; Disagreement if their results differ."""
        lanes: list[tuple[str, Peer]] = []
        results: dict[str, list[float]] = {}
        for contender in work.contenders:
            name, _, mode = contender.partition("/")
            for (peer_name, threads), peer in self.peers.items():
                if peer_name == name:
                    spec = {**work.spec, "mode": mode}
                    built = peer.ask(do="build", id=contender, spec=spec)
                    if "error" in built:
                        self.failed[f"{contender}: {work.name}"] = built["error"]
                        continue
                    results[f"{contender} with {threads} threads"] = built["result"]
                    lanes.append((contender, peer))
        check(work, results)
        seconds: list[list[float]] = [[] for _ in lanes]
        for _ in range(rounds):
            for measured, (contender, peer) in zip(seconds, lanes):
                measured.append(peer.ask(do="run", id=contender)["seconds"])
        for peer in {id(peer): peer for _, peer in lanes}.values():
            peer.ask(do="forget")
        return [Timing(c, peer.threads, tuple(s)) for (c, peer), s in zip(lanes, seconds)]


def check(work: Work, results: Mapping[str, list[float]]) -> None:
    """Disagreement, naming two peers, where results lie further apart than rounding explains."""
    answers = [(who, numbers) for who, numbers in results.items() if numbers]
    if not answers:
        return
    first, expected = answers[0]
    allowed = work.tolerance * max(map(abs, expected))
    for who, numbers in answers:
        apart = [abs(a - b) for a, b in zip(numbers, expected, strict=True)]
        if not all(distance <= allowed for distance in apart):  # a NaN is not
            raise Disagreement(
                f"{work.name}: {who} and {first} lie up to {max(apart):.1e} apart, where rounding "
                f"explains {allowed:.1e}: {numbers} and {expected}"
            )
