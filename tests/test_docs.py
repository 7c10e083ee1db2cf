"""What the documents say is run: every Python block of the README, the row of CONTRIBUTING, every
example."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tables

import tinygrad_edu
from tinygrad_edu import viz
from tinygrad_edu.kernels import info

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("[0-9]*.py"))


def blocks(document, language):
    """The code blocks of one language in a Markdown file of the project."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def run(*command, cwd=None):
    environment = {**os.environ, **({"PYTHONPATH": str(cwd)} if cwd else {})}
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=cwd,
        env=environment,
    )


PAGES = ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]
RUN = [page for page in PAGES if page != "docs/errors.md"]  # its blocks are meant to fail
BLOCKS = [(page, i) for page in RUN for i in range(len(blocks(page, "python")))]


@pytest.mark.parametrize("page, number", BLOCKS)
def test_each_python_block_of_a_page_runs(page, number):
    done = run("-W", "error", "-c", blocks(page, "python")[number])
    assert done.returncode == 0, done.stderr


def test_the_readme_has_one_command_for_the_job_and_one_for_the_tests():
    job, tests = blocks("README.md", "sh")
    assert "tinygrad-edu train digits" in job and "pytest" in tests
    assert all(len(block.strip().splitlines()) == 1 for block in (job, tests))


@pytest.mark.skipif(info()["kernels"] != "c", reason="the table says what has a C kernel")
@pytest.mark.parametrize("page", PAGES)
def test_the_tables_of_a_page_are_those_of_the_code(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert text == tables.filled(text), "run: python tests/tables.py"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_each_example_proves_its_claims_and_draws_its_pictures(example, tmp_path):
    """With warnings as errors: a picture whose parts do not fit gives one."""
    pytest.importorskip("matplotlib")
    done = run("-W", "error", str(example), "--quick", "--out", str(tmp_path / "new"))
    assert done.returncode == 0, done.stdout + done.stderr
    claims = re.findall(r"^Claim: .*: (True|False)$", done.stdout, flags=re.MULTILINE)
    assert claims and set(claims) == {"True"}
    assert done.stdout.endswith(f"All {len(claims)} claims hold: True\n")
    pictures = list((tmp_path / "new").iterdir())
    assert pictures and all(path.suffix == ".png" for path in pictures)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)
    assert all(viz.read_image(path).std() > 0.02 for path in pictures), "an empty picture"


def test_without_matplotlib_an_example_says_what_to_install(tmp_path):
    code = (
        "import sys, runpy; sys.modules['matplotlib'] = None\n"
        f"sys.path.insert(0, {str(EXAMPLES[0].parent)!r})\n"
        f"sys.argv = ['', '--quick', '--out', {str(tmp_path)!r}]\n"
        f"runpy.run_path({str(ROOT / 'examples' / '02_mcculloch_pitts.py')!r}, run_name='__main__')"
    )
    done = run("-c", code)
    assert done.returncode == 1
    assert done.stderr.startswith("--out: pictures are drawn with matplotlib")
    assert len(done.stderr.strip().splitlines()) == 1


USING_SOFTSIGN = """
import numpy as np
import tinygrad_edu as tg
x = np.linspace(-3, 3, 7)
expected = x / (1 + np.abs(x))
assert np.array_equal(tg.softsign(x), expected) and tg.softsign(3.0) == 0.75
assert np.array_equal(tg.Tensor(x).softsign().data, expected)
value = tg.scalar.Value(-2.0)
value.softsign().backward()
assert abs(value.grad - 1 / 9) < 1e-15
tg.testing.gradcheck(tg.softsign, [tg.Tensor(x + 0.1)])
tg.testing.gradgradcheck(tg.softsign, [tg.Tensor(x + 0.1)])
assert "`softsign(x)`" in tg.operations_table()
from tinygrad_edu.ops.surface import surface
assert "def softsign(x: Tensor) -> Tensor" in surface()
assert "def softsign(self) -> Tensor" in surface() and "def softsign(self) -> Value" in surface()
"""


def test_the_row_in_contributing_is_all_that_an_operation_needs(tmp_path):
    """In a copy of the package with the row added, function, methods, gradients and table line are
    there."""
    (row,) = blocks("CONTRIBUTING.md", "python")
    copy = tmp_path / "tinygrad_edu"
    shutil.copytree(Path(tinygrad_edu.__file__).parent, copy)
    with open(copy / "ops" / "elementwise.py", "a", encoding="utf-8") as file:
        file.write(row)
    done = run("-c", USING_SOFTSIGN, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
