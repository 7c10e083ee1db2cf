"""Measure tinygrad_edu against its peers: `python benchmarks/run.py`, some half an hour.

    --quick                          a few works, few and short blocks: does it all run?
    --full                           torch.compile on every eager training step too
    --only gemm,step                 these sections: gemm step compiled scan lenet forward
                                     elementwise moons growth memory footprint
    --python torch=/path/to/python   the Python in which a peer is installed; without it, this one
    --json FILE  --markdown FILE  --plot FILE     what to write; Markdown goes between the markers
                                     of a page that has them

Peers that are not installed are left out, and named. Ends with 1 if results disagree anywhere,
or a peer's process ends.
docs/benchmarks.md says what is measured and how to read it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import time
from pathlib import Path

import footprint
import memory
import race
import report
from works import SECTIONS, Section, sections


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    every = [*SECTIONS, "memory", "footprint"]
    parser.add_argument("--quick", action="store_true", help="a few works, short blocks")
    parser.add_argument("--full", action="store_true", help="torch.compile on every eager step")
    parser.add_argument("--only", type=lambda text: text.split(","), default=every)
    parser.add_argument("--peers", type=lambda text: text.split(","), default=list(race.MODULES))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, help="blocks of each contender (7; quick: 3)")
    parser.add_argument("--python", action="append", default=[], metavar="PEER=PATH")
    for name in ("json", "markdown", "plot"):
        parser.add_argument(f"--{name}", type=Path, metavar="FILE")
    chosen = parser.parse_args()
    for given, known in ((chosen.only, every), (chosen.peers, race.MODULES)):
        if unknown := set(given) - set(known):
            parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if not all("=" in each for each in chosen.python):
        parser.error("--python wants PEER=PATH, such as torch=/path/to/python")
    for each in chosen.python:
        if shutil.which(each.split("=", 1)[1]) is None:
            parser.error(f"--python {each}: there is no such program")
    chosen.rounds = chosen.rounds or (3 if chosen.quick else 7)
    chosen.threads = [n for n in chosen.threads if n <= (os.cpu_count() or 1)] or [1]
    return chosen


def machine() -> list[str]:
    """What the numbers belong to."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        model = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), model)
    load = f", load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    return [
        f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}{load}",
        f"Python {platform.python_version()}",
    ]


def race_all(
    chosen: list[Section], field: race.Field, rounds: int
) -> tuple[list[tuple[Section, list[report.Raced]]], dict[str, str]]:
    """Every work of the sections, a line each as it is done; and what failed, by its name."""
    results, failed = [], {}
    for section in chosen:
        start, raced = time.perf_counter(), []
        print(f"\n{section.title}", flush=True)
        for work in section.works:
            try:
                raced.append(report.Raced(work, field.race(work, rounds)))
            except (race.Disagreement, race.PeerError) as error:
                failed[work.name] = str(error)
                field.dismiss_the_dead()
            else:
                print(line(raced[-1]), flush=True)
        print(f"  [{time.perf_counter() - start:.0f} s]", flush=True)
        results.append((section, raced))
    return results, failed


def line(raced: report.Raced) -> str:
    times = [
        f"{report.NAMES[t.contender]} ({t.threads}) {report.duration(t.median)}"
        for t in sorted(raced.timings, key=lambda t: t.median)
    ]
    return f"  {raced.work.name}: {', '.join(times)}"


def as_json(facts: list[str], results: list, needs: list, weights: list) -> str:
    """All that was measured: seconds of one repetition for each round, bytes, megabytes."""
    works = [
        {"section": section.name, "work": each.work.name, **vars(timing)}
        for section, raced in results
        for each in raced
        for timing in each.timings
    ]
    found = {"facts": facts, "timings": works, "memory": needs, "footprint": weights}
    return json.dumps(found, indent=1)


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that stopped peers are ended too
    options = arguments()
    pythons = dict(each.split("=", 1) for each in options.python)
    chosen = sections(options.only, quick=options.quick, full=options.full)
    wanted = {
        c.partition("/")[0] for section in chosen for w in section.works for c in w.contenders
    }
    if "memory" in options.only:
        wanted.add("ours")
    names = [n for n in options.peers if n in wanted or "footprint" in options.only]
    block = 0.005 if options.quick else 0.02
    facts = machine()
    with race.Field(names, options.threads, pythons=pythons, block=block) as field:
        facts += [*field.about(), f"median of {options.rounds} blocks of {1e3 * block:.0f} ms"]
        facts += [f"not measured: {name} ({why})" for name, why in field.missing.items()]
        print("\n".join(facts), flush=True)
        results, wrong = race_all(chosen, field, options.rounds)
    needs, weights = [], []
    present = [name for name in names if name not in field.missing]
    if "memory" in options.only and "ours" in present:
        needs = memory.measure(pythons.get("ours", sys.executable), options.quick)
    if "footprint" in options.only:
        weights = footprint.measure(present, pythons, options.rounds)
    facts += [f"not measured: {name}" for name in (*field.failed, *wrong)]
    found = report.markdown(facts, results, needs, weights)
    if options.markdown:
        report.write(options.markdown, found)
    if options.json:
        options.json.write_text(as_json(facts, results, needs, weights), encoding="utf-8")
    if options.plot:
        import plot  # here, because only it needs matplotlib

        plot.plot(options.plot, results)
    print("", found, sep="\n")
    for name, why in (*field.failed.items(), *wrong.items()):
        print(f"\n{name}\n{why}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
