"""The benchmarks' machinery: contenders race, results must agree, what is absent is named. No time
is judged here."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
START, END = "<!-- measured: benchmarks -->", "<!-- measured: end -->"


@pytest.fixture
def harness(monkeypatch):
    """The modules race, works and report of benchmarks/."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import race
    import report
    import works

    return race, works, report


def test_a_run_from_end_to_end(tmp_path):
    """Two peers, one thread: every contender of every work in the JSON, the ratios of the page are
    those of the seconds, and what stands around the markers of the page is kept."""
    page, data, picture = (tmp_path / name for name in ("page.md", "data.json", "picture.png"))
    page.write_text(f"before\n{START}\nold\n{END}\nafter\n", encoding="utf-8")
    command = [sys.executable, "-W", "error", str(ROOT / "benchmarks" / "run.py"), "--quick"]
    command += ["--only", "gemm,compiled,scan,forward,growth,memory"]
    command += ["--peers", "ours,numpy", "--threads", "1"]
    command += ["--markdown", str(page), "--json", str(data), "--plot", str(picture)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found, seconds = json.loads(data.read_text(encoding="utf-8")), {}
    for each in found["timings"]:
        assert len(each["seconds"]) == 3 and min(each["seconds"]) > 0 and each["threads"] == 1
        work = seconds.setdefault((each["section"], each["work"]), {})
        work[each["contender"]] = each["seconds"]
    everyone = {"ours", "ours/compiled", "numpy"}
    assert everyone == set(seconds["forward", "[64, 32, 10], batch 1"])
    assert {"ours"} == set(seconds["growth", "width 64"])
    for optimizer in ("sgd", "adam"):
        name = f"[64, 32, 10], batch 32, {optimizer}"
        assert everyone == set(seconds["compiled", name])
        assert {"ours/compiled"} == set(seconds["scan", name])
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{START}\n") and text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    *ours, numpy = seconds["forward", "[64, 32, 10], batch 1024"].values()
    ratios = [sorted(theirs / mine for theirs, mine in zip(numpy, each))[1] for each in ours]
    (row,) = [line for line in text.splitlines() if line.startswith("| [64, 32, 10], batch 1024 ")]
    assert row.strip("| ").split(" | ")[3::3] == [f"{ratio:.2f}" for ratio in ratios]
    need = {each["work"]: each for each in found["memory"]}["[64, 32, 10], batch 1024, adam"]
    assert need["eager"] >= 1024 * (32 + 10) * 4  # both layers' outputs, when the loss is computed
    assert need["compiled"] >= need["arena"] > 0
    assert f"| {need['compiled'] / need['eager']:.2f} |" in text
    assert picture.stat().st_size > 1000


def test_the_sections_name_works_and_contenders_that_exist(harness):
    race, works, report = harness
    for quick, full in ((True, False), (False, False), (False, True)):
        for section in works.sections(list(works.SECTIONS), quick=quick, full=full):
            names = [work.name for work in section.works]
            assert names and len(set(names)) == len(names)
            for work in section.works:
                assert {c.partition("/")[0] for c in work.contenders} <= set(race.MODULES)
                assert set(work.contenders) <= set(report.NAMES) and work.tolerance > 0
                assert all(c in report.NAMES for bar in section.bars for c in bar.against)
    assert all((race.PEERS / f"{module}.py").exists() for module in race.MODULES.values())


@pytest.mark.parametrize("wrong", [1.001, float("nan")])
def test_peers_that_compute_other_numbers_are_not_compared(harness, wrong):
    race, works, _ = harness
    work = works.Work("a sum", {}, ("ours", "numpy"), 1e-6)
    race.check(work, {"ours": [2.0, 1.0], "numpy": [2.0, 1.000001], "peak": []})
    with pytest.raises(race.Disagreement, match="a sum: numpy and ours lie up to"):
        race.check(work, {"ours": [2.0, 1.0], "numpy": [2.0, wrong]})


def test_what_is_not_installed_or_cannot_be_built_is_named(harness, monkeypatch):
    race, works, _ = harness
    monkeypatch.setitem(race.MODULES, "nobody", "nobody_peer")
    work = works.Work("no work", {"kind": "none"}, ("numpy", "nobody"), 1e-6)
    with race.Field(["numpy", "nobody"], [1], block=0.001) as field:
        assert field.missing == {"nobody": "No module named 'nobody_peer'"}
        assert field.race(work, rounds=1) == []
        assert "KeyError: 'none'" in field.failed["numpy: no work"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills a process")
def test_a_peer_that_dies_takes_only_itself_away(harness):
    race, works, _ = harness
    work = works.gemm(quick=True).works[0]
    with race.Field(["numpy", "ours"], [1], block=0.001) as field:
        os.kill(field.peers["numpy", 1].pid, signal.SIGKILL)
        with pytest.raises(race.PeerError, match="the peer numpy ended with -9"):
            field.race(work, rounds=1)
        field.dismiss_the_dead()
        assert [timing.contender for timing in field.race(work, rounds=1)] == ["ours"]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_a_peer_sleeps_while_it_is_not_asked(harness):
    race, _, _ = harness
    with race.Field(["numpy"], [1], block=0.001) as field:
        field.peers["numpy", 1].ask(do="forget")
        stat = Path(f"/proc/{field.peers['numpy', 1].pid}/stat")
        end = time.monotonic() + 5
        while (state := stat.read_text().rpartition(")")[2].split()[0]) != "T":
            assert time.monotonic() < end, f"it is in state {state}"


def test_a_bar_is_judged_by_mean_and_worst_work(harness):
    race, works, report = harness

    def raced(name, ours, numpy):
        work = works.Work(name, {}, ("ours", "numpy"), 1e-6)
        times = [("ours", 1, ours), ("ours", 2, 9.0), ("numpy", 1, numpy)]
        return report.Raced(work, [race.Timing(c, n, (t, t)) for c, n, t in times])

    pair = [raced("won", 1.0, 4.0), raced("lost", 2.0, 1.0)]
    for mean, worst, met in ((1.4, 0.5, True), (1.5, 0.5, False), (1.4, 0.6, False)):
        section = works.Section("s", "S", [], [works.Bar("NumPy", ("numpy",), mean, worst)])
        (verdict,) = report.verdicts(section, pair)
        assert verdict.ratios == {"won": 4.0, "lost": 0.5}
        assert verdict.mean == pytest.approx(2**0.5) and verdict.met is met
    assert report.losses([verdict]) == "- 0.50: s, lost, against NumPy"


def test_a_bar_may_be_for_the_compiled_step_and_lower_where_the_peer_is_at_the_peak(harness):
    race, works, report = harness
    times = {"ours": 9.0, "ours/compiled": 2.0, "numpy": 1.96}

    def verdict(peak, bars):
        work = works.Work("close", {}, (*times, "peak"), 1e-6)
        every = {**times, "peak": peak}
        raced = report.Raced(work, [race.Timing(c, 1, (t, t)) for c, t in every.items()])
        return report.verdicts(works.Section("s", "S", [], bars), [raced])

    bar = works.Bar("NumPy", ("numpy",), worst=1.0, at_peak=0.97, subject="ours/compiled")
    for peak, met in ((0.91 * 1.96, True), (0.89 * 1.96, False)):
        (judged,) = verdict(peak, [bar])
        assert judged.ratios == {"close": pytest.approx(0.98)} and judged.met is met
        assert (report.AT_ITS_PEAK in report.losses([judged])) is met
    eager, judged = verdict(1.0, [works.Bar("NumPy", ("numpy",)), bar])
    assert eager.ratios["close"] == pytest.approx(1.96 / 9)
    assert "S, compiled, against NumPy" in report.summary([judged])


def test_the_multiply_adds_of_a_step(monkeypatch):
    """Of [2, 3, 1] on 5 rows, forward 5 (6 + 3), for the weights as many, for the hidden layer's
    output 5 * 3; the input has no gradient."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks" / "peers")
    from inputs import multiply_adds

    assert multiply_adds({"kind": "step", "sizes": [2, 3, 1], "batch": 5}) == 45 + 45 + 15
