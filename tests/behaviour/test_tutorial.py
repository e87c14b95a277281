"""The tutorial is true: its files are those of the example, and its requests have these answers."""

from __future__ import annotations

import ast
import importlib
import json
import re
import shlex
import sys
from datetime import timedelta
from http import HTTPStatus
from types import ModuleType
from typing import Any, Dict, Iterator, List, Tuple

import pytest
import yaml
from fastapi.testclient import TestClient

from bananas.testing import LocalQueue
from tests.behaviour.programs import ROOT

SERVICE = ROOT / "examples" / "service"
PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
COMPOSE: Dict[str, Any] = yaml.safe_load((SERVICE / "compose.yaml").read_text(encoding="utf-8"))
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The tests of the example, which import the service as they do for a reader."""
    monkeypatch.syspath_prepend(str(SERVICE))
    yield importlib.import_module("test_reports")
    for name in ("reports", "stand_in", "test_reports"):
        sys.modules.pop(name, None)


# -- the files -----------------------------------------------------------------------------------


def shown() -> List[Tuple[str, str]]:
    """Return the files that the page shows, and their parts, each with its name."""
    return re.findall(r'^```[a-z]+ title="([^"]+)"\n(.*?)^```$', PAGE, re.DOTALL | re.MULTILINE)


def test_the_page_shows_the_files_as_they_are() -> None:
    """What the page shows of a file is in it, and each file is shown as a whole."""
    texts = {name: (SERVICE / name).read_text(encoding="utf-8") for name, _ in shown()}
    for name, block in shown():
        assert block in texts[name]
    assert set(texts.items()) <= set(shown())
    there = {path.relative_to(SERVICE).as_posix() for path in SERVICE.rglob("*") if path.is_file()}
    assert {name for name in there if "__pycache__" not in name} == set(texts)


def test_the_page_fits_its_box() -> None:
    """The Python and the Go of the page need no scrolling sideways on a desktop."""
    code = [block for name, block in shown() if name.endswith((".py", ".go"))]
    assert max(len(line) for block in code for line in block.splitlines()) <= 76


# -- the requests --------------------------------------------------------------------------------


def requests() -> List[Tuple[List[str], str]]:
    """Return the requests of the page, each as its words and the JSON that it shows."""
    found = re.findall(
        r"^\$ (curl [^|]*) \\\n    \| python3 -m json.tool\n(.*?)(?=^\$|^```)",
        PAGE,
        re.DOTALL | re.MULTILINE,
    )
    return [(shlex.split(command.replace("\\\n", "")), output) for command, output in found]


@pytest.mark.bananas(background=False)
def test_the_requests_have_the_answers_of_the_page(
    service: ModuleType, bananas_queue: LocalQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked in the order of the page, the service answers as the page shows; ids apart."""
    bananas_queue.handle("report", importlib.import_module("stand_in").report)
    monkeypatch.setenv("BANANAS_REDIS_URL", bananas_queue.url)
    ids: Dict[str, str] = {}
    asked = requests()
    assert len(asked) == 8
    with TestClient(service.app) as http:
        for words, output in asked:
            if "POST" not in words:  # the worker has had the time that the reader takes
                moment = timedelta(0) if "wait=1" in words[-1] else timedelta(hours=1)
                bananas_queue.run_until_idle(within=moment)
            answer = ask(http, words, ids)
            for ours, theirs in zip(_UUID.findall(output), _UUID.findall(json.dumps(answer))):
                ids.setdefault(ours, theirs)
            assert_like(json.loads(with_ids(output, ids)), answer)


def ask(http: TestClient, words: List[str], ids: Dict[str, str]) -> Any:
    """Ask what a line of the page asks."""
    headers = dict(word.split(": ", 1) for flag, word in zip(words, words[1:]) if flag == "-H")
    path = with_ids(words[-1], ids).partition("localhost:8000")[2]
    return http.request("POST" if "POST" in words else "GET", path, headers=headers).json()


def with_ids(text: str, ids: Dict[str, str]) -> str:
    """Return a text of the page with the ids of this run."""
    return _UUID.sub(lambda found: ids.get(found[0], found[0]), text)


def assert_like(expected: Dict[str, Any], answer: Dict[str, Any]) -> None:
    """Compare an answer with that of the page, which may end a long text with three dots."""
    assert answer.keys() == expected.keys()
    for name, value in expected.items():
        if name == "title":  # other versions of Python have other words for a status
            assert answer[name] == HTTPStatus(expected["status"]).phrase
        elif str(value).endswith("..."):
            assert answer[name].startswith(value[:-3])
        else:
            assert answer[name] == value


@pytest.mark.bananas(background=False)
def test_the_tests_of_the_service_pass(
    service: ModuleType, bananas_queue: LocalQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests that the page shows pass."""
    service.test_a_report_is_ordered_once_and_read(bananas_queue, monkeypatch)
    service.test_an_unknown_report_is_not_found(bananas_queue, monkeypatch)


# -- Docker, as far as it goes without it ---------------------------------------------------------


def test_compose_names_what_is_there() -> None:
    """Services build from what exists, start after a healthy Redis, and find it by its name."""
    services = COMPOSE["services"]
    assert set(services) == {"redis", "worker", "scheduler", "api"}
    for name in ("worker", "scheduler", "api"):
        settings = services[name]
        build = settings["build"] if isinstance(settings["build"], dict) else {}
        context = SERVICE / (build.get("context") or settings["build"])
        assert (context / build.get("dockerfile", "Dockerfile")).is_file()
        assert settings["depends_on"] == {"redis": {"condition": "service_healthy"}}
        assert set(settings["environment"].values()) == {"redis://redis:6379/0"}
    assert set(COMPOSE["volumes"]) == {
        volume.partition(":")[0] for volume in services["redis"]["volumes"]
    }
    assert "healthcheck" in services["redis"]


def test_compose_keeps_the_jobs() -> None:
    """Redis evicts nothing and keeps a log; one scheduler runs; a worker may end its job."""
    services = COMPOSE["services"]
    command = services["redis"]["command"]
    pairs = dict(zip(command[1::2], command[2::2]))
    assert pairs == {"--appendonly": "yes", "--maxmemory-policy": "noeviction"}
    assert services["scheduler"]["deploy"] == {"replicas": 1}
    assert services["worker"]["stop_grace_period"] == "60s"


def test_the_image_of_the_api_runs_the_service(service: ModuleType) -> None:
    """What the image copies exists, and it starts the service where Compose looks for it."""
    lines = (SERVICE / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = [word for line in lines if line.startswith("COPY") for word in line.split()[1:-1]]
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert {"pyproject.toml", "src", "README.md", "LICENSE"} <= set(copied)
    (start,) = [line.partition(" ")[2] for line in lines if line.startswith("CMD")]
    module, _, name = json.loads(start)[1].partition(":")
    assert f"examples/service/{module}.py" in copied
    api = COMPOSE["services"]["api"]
    assert api["ports"] == [f"8000:{json.loads(start)[-1]}"]
    paths = {route.path for route in getattr(sys.modules[module], name).routes}
    check = api["healthcheck"]["test"]
    ast.parse(check[-1])
    assert check[:3] == ["CMD", "python", "-c"]
    assert re.findall(r"http://127.0.0.1:8000(/\w+)", check[-1]) == ["/healthz"]
    assert "/healthz" in paths


def test_the_images_of_the_workers_have_what_compose_starts() -> None:
    """The two commands of the workers' image are built and copied."""
    text = (SERVICE / "worker" / "Dockerfile").read_text(encoding="utf-8")
    for name in ("worker", "scheduler"):
        assert COMPOSE["services"][name]["command"] == [f"/{name}"]
        assert f"-o /{name} ./cmd/{name}" in text
    assert "COPY --from=build /worker /scheduler /" in text


def test_the_go_handler_reads_what_the_service_submits() -> None:
    """The members that the Go text names are those of the payload."""
    go = (SERVICE / "worker" / "report.go").read_text(encoding="utf-8")
    python = (SERVICE / "reports.py").read_text(encoding="utf-8")
    (spec,) = re.findall(r'JobSpec\("(\w+)", (\{[^}]*\})', python)
    assert re.findall(r'json:"(\w+)"', go) == re.findall(r'"(\w+)":', spec[1])
    assert f'the job "{spec[0]}"' in go
    assert go.count("{") == go.count("}")


def test_the_go_handler_imports_what_it_uses() -> None:
    """A package that is not imported, or not used, is an error to Go."""
    go = (SERVICE / "worker" / "report.go").read_text(encoding="utf-8")
    (imports,) = re.findall(r"^import \((.*?)^\)", go, re.DOTALL | re.MULTILINE)
    packages = {path.rpartition("/")[2] for path in re.findall(r'"([^"]+)"', imports)}
    assert set(re.findall(r"\b([a-z]+)\.[A-Z]", go)) - {"j", "order"} == packages
