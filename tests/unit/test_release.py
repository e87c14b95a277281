"""One step makes a release: it writes the version and the day, or nothing at all."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Optional

import pytest
from packaging.requirements import Requirement

from tests import release

_CHANGELOG = """# Changelog

Words.

## Unreleased

What becomes 0.2.0.

### Clients

- A change.
"""
_BEFORE = "\n## 0.1.0 (2026-01-02)\n\n- The first.\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one release, on its way to the next."""
    for path, text in (
        (release.VERSION_FILE, '"""A version."""\n\n__version__: str = "0.1.0"\n'),
        (release.CHANGELOG, _CHANGELOG + _BEFORE),
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    return tmp_path


def _texts(project: Path) -> str:
    files = (release.VERSION_FILE, release.CHANGELOG)
    return "".join((project / path).read_text(encoding="utf-8") for path in files)


def test_version_and_day_are_written(project: Path) -> None:
    """The heading gets version and day, and the sentence on what is to come goes."""
    release.release(project, "0.2.0", "2026-03-04")
    text = _texts(project)
    assert '\n__version__: str = "0.2.0"\n' in text
    assert "\n## 0.2.0 (2026-03-04)\n\n### Clients\n" in text
    assert "nreleased" not in text
    assert text.endswith(_BEFORE)


def test_the_first_release_keeps_its_version(project: Path) -> None:
    """The version that the source has already may be the one that is released."""
    (project / release.CHANGELOG).write_text(_CHANGELOG, encoding="utf-8")
    release.release(project, "0.1.0", "2026-03-04")
    assert "\n## 0.1.0 (2026-03-04)\n" in _texts(project)


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("0.1.0", "does not come after 0.1.0"),
        ("0.0.9", "is before 0.1.0"),
        ("v0.2.0", "three numbers"),
        ("0.2", "three numbers"),
        ("0.02.0", "three numbers"),
        ("0.2.0rc1", "three numbers"),
    ],
)
def test_a_wrong_version_is_refused(project: Path, version: str, reason: str) -> None:
    """One that was released, goes back, or is no version leaves all files as they are."""
    before = _texts(project)
    with pytest.raises(release.Refused, match=reason):
        release.release(project, version, "2026-03-04")
    assert _texts(project) == before


def test_nothing_to_release(project: Path) -> None:
    """A changelog without anything new is refused."""
    (project / release.CHANGELOG).write_text(f"# Changelog\n{_BEFORE}", encoding="utf-8")
    with pytest.raises(release.Refused, match="nothing under"):
        release.release(project, "0.2.0", "2026-03-04")


def test_a_tree_with_changes_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only what is committed is released, and a tag is given once."""
    git = ["git", "-C", str(project), "-c", "user.name=n", "-c", "user.email=e@localhost"]
    subprocess.run([*git, "init", "-q"], check=True, timeout=60)
    assert release.main(["0.2.0"], project) == 1
    assert "commit or stash these first" in capsys.readouterr().err
    subprocess.run([*git, "add", "-A"], check=True, timeout=60)
    subprocess.run([*git, "commit", "-q", "-m", "all"], check=True, timeout=60)
    subprocess.run([*git, "tag", "v0.3.0"], check=True, timeout=60)
    assert release.main(["0.3.0"], project) == 1
    assert "there is a tag v0.3.0" in capsys.readouterr().err
    assert release.main(["0.2.0"], project) == 0
    assert "git tag -a v0.2.0" in capsys.readouterr().out
    assert re.search(r"## 0\.2\.0 \([0-9-]{10}\)", _texts(project))


def test_this_project_can_be_released() -> None:
    """The version and the changelog are as a release wants to find them."""
    changelog = (release.ROOT / release.CHANGELOG).read_text(encoding="utf-8")
    released = re.findall(r"^## (.+)$", changelog, re.MULTILINE)
    assert released[0] == "Unreleased" or re.match(r"[0-9.]+ \([0-9-]{10}\)", released[0])


def test_all_has_every_extra() -> None:
    """The extra ``all`` names each other one, but what others are made of."""
    text = (release.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = text.partition("[project.optional-dependencies]\n")[2].partition("\n[")[0]
    extras = set(re.findall(r"^([a-z0-9-]+) = ", block, re.MULTILINE)) - {"all", "demo"}
    (named,) = re.findall(r'^all = \["bananas-queue\[(.+)\]"\]', block, re.MULTILINE)
    assert set(named.split(",")) == extras


@pytest.mark.parametrize(
    ("python", "last", "too_new"),
    [("3.8", "6.1.1", "6.2.0"), ("3.9", "7.0.1", "7.1.0"), ("3.10", "8.1.0", None)],
)
def test_redis_py_is_one_that_runs_there(python: str, last: str, too_new: Optional[str]) -> None:
    """An old Python gets the last redis-py for it, from an index without Requires-Python, too."""
    text = (release.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    wanted = [Requirement(line) for line in re.findall(r'^    "(redis\[.+)",$', text, re.MULTILINE)]
    (redis,) = (
        each for each in wanted if each.marker and each.marker.evaluate({"python_version": python})
    )
    assert redis.extras == {"hiredis"}
    assert redis.specifier.contains("5.0.1")
    assert redis.specifier.contains(last)
    assert too_new is None or not redis.specifier.contains(too_new)


def test_an_old_pip_reads_the_project() -> None:
    """No list has strings and tables, which pip before 21.2, as on Ubuntu 20.04, can't read."""
    text = (release.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert "include-group" not in text
