"""The Python in README and docs is true: it runs, or stands in an example that does."""

from __future__ import annotations

import ast
import builtins
import html
import io
import json
import re
import textwrap
import tokenize
from datetime import datetime, timezone
from pathlib import Path
from typing import List, Tuple

import pytest

import bananas
from bananas import Job
from bananas.cli.demo_jobs import new_jobs
from bananas.cli.demo_story import CODE
from bananas.testing import LocalQueue
from tests.behaviour.broker import Broker
from tests.behaviour.programs import ROOT, run

_PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_PYTEST = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "bananas.testing.pytest_plugin"]
_PYTEST += ["-p", "pytest_asyncio.plugin"]
_RUNNER = str(Path(__file__).with_name("blocks.py"))
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# What a page shows right below a block is what the block prints.
_SHOWN_OUTPUT = re.compile(
    r"^```python\n((?:(?!```).*\n)+)```\n+(?:<!-- fmt: on -->\n+)?```text\n((?:(?!```).*\n)+)```$",
    re.MULTILINE,
)
# In the README, a comment beside a print says it.
_PRINTED = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)
# In a tab, a block is indented.
_IN_A_TAB = re.compile(r"^( +)```(?:python|text)\n.*?^\1```$", re.DOTALL | re.MULTILINE)
_OF_EXAMPLES = re.compile(
    r'^```python title="(examples/[^"]+)"\n(.*?)^```$', re.DOTALL | re.MULTILINE
)


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT)).replace("\\", "/").replace("docs/", "", 1)


def _read(page: Path) -> str:
    """Return the text of a page, with what stands in tabs as it would stand outside."""
    text = page.read_text(encoding="utf-8")
    return _IN_A_TAB.sub(lambda found: textwrap.dedent(found[0]), text)


_RUN = [(_name(page), block) for page in _PAGES for block in _BLOCK.findall(_read(page))]
_OF_TESTS = [(name, code) for name, code in _RUN if "\ndef test_" in code]
_PROGRAMS = [block for block in _RUN if block not in _OF_TESTS]
_SHOWN = _RUN + [
    (f"examples/{path.name}", path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "examples").glob("*.py"))
]


_OUTPUT = {
    (_name(page), code): output
    for page in _PAGES
    for code, output in _SHOWN_OUTPUT.findall(_read(page))
}


def _ids(blocks: List[Tuple[str, str]]) -> List[str]:
    return [f"{name}:{code.splitlines()[0][:30]}" for name, code in blocks]


def test_every_block_runs(real_broker: Broker, tmp_path: Path) -> None:
    """Each block runs as it stands, with workers behind it, and prints what the page shows."""
    written = {str(tmp_path / f"block_{at}.py"): block for at, block in enumerate(_PROGRAMS)}
    for path, (_, code) in written.items():
        Path(path).write_text(code, encoding="utf-8")
    with LocalQueue(real_broker.url) as queue:
        queue.handle("greet", _greet)
        queue.handle("square", lambda job: job.payload["n"] ** 2)
        queue.handle("report", lambda job: f"report of {job.payload['month']}")
        done = run(_RUNNER, *written, BANANAS_REDIS_URL=real_broker.url)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    outcomes = json.loads(done.stdout)
    trouble = [(written[path], found["stderr"]) for path, found in outcomes.items()]
    assert [(block, error) for block, error in trouble if error] == []
    printed = {block: _lines(outcomes[path]["stdout"]) for path, block in written.items()}
    assert set(_OUTPUT) <= set(_RUN)  # each output belongs to one block
    shown = {block: _lines(output) for block, output in _OUTPUT.items() if block in printed}
    assert {block: printed[block] for block in shown} == shown
    commented = {block: _PRINTED.findall(block[1]) for block in printed if block[0] == "README.md"}
    assert commented == {block: printed[block] for block in commented}


def _lines(text: str) -> List[str]:
    return [line.rstrip() for line in text.splitlines()]


def test_every_block_of_tests_passes(tmp_path: Path) -> None:
    """Each block with tests passes under pytest, with nothing but the plugin."""
    for at, (_, code) in enumerate(_OF_TESTS):
        (tmp_path / f"test_block_{at}.py").write_text(code, encoding="utf-8")
    # The temporary folder may lie in this project, whose settings are not the reader's.
    settings = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
    (tmp_path / "pytest.ini").write_text(settings, encoding="utf-8")
    done = run(*_PYTEST, str(tmp_path), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def _greet(job: Job) -> str:
    return f"hello, {job.payload['name']}"


@pytest.mark.parametrize(("name", "code"), _SHOWN, ids=_ids(_SHOWN))
def test_no_code_hides_a_builtin(name: str, code: str) -> None:
    """A reader who copies a block does not change what ``except ConnectionError`` means."""
    assert set(_imported(ast.parse(code))) & set(dir(builtins)) == set()


def _imported(tree: ast.AST) -> List[str]:
    """Return the names that code imports from the package."""
    return [
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "bananas"
        for alias in node.names
    ]


def test_what_a_page_shows_of_an_example_is_in_it() -> None:
    """A page shows whole examples, or whole functions of them; only the lines may be shorter."""
    shown = [found for page in _PAGES for found in _OF_EXAMPLES.findall(_read(page))]
    assert shown
    for path, block in shown:
        text = (ROOT / path).read_text(encoding="utf-8")
        parts = [ast.get_source_segment(text, part) or "" for part in ast.parse(text).body]
        assert _content(block) in map(_content, (text, *parts)), f"{path}: a page shows another"


def test_pages_install_what_their_examples_need() -> None:
    """A page whose example brings its own worker installs the extra that has one."""
    for page in _PAGES:
        text = page.read_text(encoding="utf-8")
        shown = {path for path, _ in _OF_EXAMPLES.findall(text) if path.count("/") > 1}
        folders = [(ROOT / path).parent for path in shown]
        needed = any("LocalQueue" in p.read_text() for at in folders for p in at.rglob("*.py"))
        assert not needed or ",testing]" in text, _name(page)


def _content(code: str) -> Tuple[str, List[str]]:
    """Return what code says, however its lines are broken, and its comments."""
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    return ast.dump(ast.parse(code)), comments


def test_the_readme_names_the_two_commands() -> None:
    """What a newcomer types is in the README, in full."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    demo = '.venv/bin/pip install ".[demo]" && .venv/bin/python -m bananas demo'
    tests = ".venv/bin/pip install nox && .venv/bin/python -m nox"
    for command in (demo, tests):
        assert f"\npython3 -m venv .venv && {command}\n" in readme
    assert "apt-get install python3-venv" in readme


def test_the_readme_is_short() -> None:
    """The README fits two screens, and a git host shows all that is on the pages it names."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) <= 90
    for page in set(re.findall(r"\]\(([^)#:]+\.md)(?:#[^)]*)?\)", readme)):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert re.findall(r"^\s*(?:--8<--|!!!|\?\?\?|===|:::)", text, re.MULTILINE) == [], page


@pytest.mark.parametrize(
    "name", ["demo.svg", "demo_dark.svg", "demo_narrow.svg", "demo_narrow_dark.svg"]
)
def test_the_picture_of_the_demo_is_as_it_is_now(name: str) -> None:
    """The README's picture shows the demo's jobs and code, and loads nothing from elsewhere."""
    assert f"docs/assets/{name}" in (ROOT / "README.md").read_text(encoding="utf-8")
    picture = (ROOT / "docs" / "assets" / name).read_text(encoding="utf-8")
    shown = re.sub("<[^>]*>", "", html.unescape(picture)).replace("\N{NO-BREAK SPACE}", " ")
    shown = re.sub(r"\s+", "", shown)  # each colour is an element of its own
    jobs = new_jobs(datetime.now(timezone.utc))
    for line in [
        *(job.title for job in jobs),
        *CODE.splitlines(),
        "7 of 7 jobs ended",
        "docs/tutorial",
    ]:
        assert re.sub(r"\s+", "", line) in shown
    assert picture.replace("http://www.w3.org/2000/svg", "").count("http") == 0
    assert "url(" not in picture


def test_the_page_about_the_installation_lists_every_extra() -> None:
    """A reader finds each extra in one table."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = project.partition("[project.optional-dependencies]\n")[2].partition("\n[")[0]
    page = (ROOT / "docs" / "how-to" / "install.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) != []
    assert set(re.findall(r"^(\w+) = ", extras, re.MULTILINE)) == set(
        re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    )


def test_the_errors_page_tells_of_every_error() -> None:
    """The page about errors names every error that leaves the package."""
    page = (ROOT / "docs" / "how-to" / "errors.md").read_text(encoding="utf-8")
    errors = {name for name in bananas.__all__ if name.endswith("Error")}
    assert {name for name in errors if f"`{name}`" not in page} == set()


def test_links_lead_somewhere() -> None:
    """Every relative link of README and docs leads to a file."""
    broken = [
        (_name(page), target)
        for page in _PAGES
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_no_page_shows_its_metadata() -> None:
    """A description with a colon is quoted: without quotes, the page would begin with it."""
    lines = [(_name(page), line) for page in _PAGES for line in _metadata(page)]
    assert lines
    assert [found for found in lines if re.match(r"\w+: [^\"'\[].*: ", found[1])] == []


def _metadata(page: Path) -> List[str]:
    text = page.read_text(encoding="utf-8")
    return text.split("\n---\n")[0].splitlines()[1:] if text.startswith("---\n") else []
