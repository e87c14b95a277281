"""Sets the version and dates the changelog: ``python -m tests.release VERSION``.

What is left to do is printed: look at the change, commit it, tag it, build it. Nothing is written
where anything is not as it should be.
"""

from __future__ import annotations

import argparse
import datetime
import re
import subprocess
import sys
from pathlib import Path
from typing import List, Optional, Tuple

ROOT = Path(__file__).resolve().parent.parent
VERSION_FILE = Path("src/bananas/_version.py")
CHANGELOG = Path("docs/changelog.md")
_VERSION = re.compile(r'^(__version__: str = ")([^"]+)(")$', re.MULTILINE)
_RELEASED = re.compile(
    r"^## ([0-9]+\.[0-9]+\.[0-9]+) \([0-9]{4}-[0-9]{2}-[0-9]{2}\)$", re.MULTILINE
)
_UNRELEASED = re.compile(r"^## Unreleased\n\n(What becomes [^\n]*\n\n)?(?=\S)", re.MULTILINE)


class Refused(Exception):
    """The release can't be made; the text says why and what to do."""


def parse(version: str) -> Tuple[int, ...]:
    """Return the numbers of a version."""
    if not re.fullmatch(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}", version):
        raise Refused(f"a version is three numbers, such as 0.1.0; got {version!r}")
    return tuple(map(int, version.split(".")))


def release(root: Path, version: str, day: str) -> List[Path]:
    """Write the version, and the day of the release into the changelog.

    Args:
        root: The project.
        version: That of the release: the one that is written there already, or a later one.
        day: The day, as ISO 8601 has it.

    Returns:
        The files, relative to the project.

    Raises:
        Refused: The version is wrong, was released before, or nothing is unreleased.
    """
    numbers = parse(version)
    source = (root / VERSION_FILE).read_text(encoding="utf-8")
    changelog = (root / CHANGELOG).read_text(encoding="utf-8")
    found = _VERSION.search(source)
    if found is None:
        raise Refused(f"{VERSION_FILE} has no line with a version")
    if numbers < parse(found.group(2)):
        raise Refused(f"{version} is before {found.group(2)}, which {VERSION_FILE} has")
    for before in _RELEASED.findall(changelog):
        if numbers <= parse(before):
            raise Refused(f"{version} does not come after {before}, which {CHANGELOG} has")
    if _UNRELEASED.search(changelog) is None:
        raise Refused(f'{CHANGELOG} has nothing under "## Unreleased"')
    dated = _UNRELEASED.sub(f"## {version} ({day})\n\n", changelog, count=1)
    (root / CHANGELOG).write_text(dated, encoding="utf-8")
    (root / VERSION_FILE).write_text(
        _VERSION.sub(rf"\g<1>{version}\g<3>", source), encoding="utf-8"
    )
    return [VERSION_FILE, CHANGELOG]


def git(root: Path, *arguments: str) -> str:
    """Return what a command of git says."""
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=60, check=True)
    return done.stdout.decode().strip()


def refuse_tree(root: Path, version: str) -> None:
    """Refuse a tree that has changes, and a version that has a tag."""
    changed = git(root, "status", "--porcelain")
    if changed:
        raise Refused(f"commit or stash these first:\n{changed}")
    if git(root, "tag", "--list", f"v{version}"):
        raise Refused(f"there is a tag v{version} already")


def main(arguments: Optional[List[str]] = None, root: Path = ROOT) -> int:
    """Make the change, and say what comes next."""
    parser = argparse.ArgumentParser(prog="python -m tests.release", description=__doc__)
    parser.add_argument("version", help="such as 0.1.0")
    version = parser.parse_args(arguments).version
    try:
        parse(version)
        refuse_tree(root, version)
        today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
        files = " ".join(str(path) for path in release(root, version, today))
    except Refused as reason:
        print(f"no release: {reason}", file=sys.stderr)
        return 1
    print(
        f"{version} is written. Look at it (git diff), and then:\n"
        f"  git commit -m 'Release {version}' {files}\n"
        f"  git tag -a v{version} -m 'bananas-queue {version}'\n"
        "  python -m nox -s build"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
