"""Generates the blocking twins of the public classes: ``python -m tests.twin [--check]``.

A twin has the signature and the text of its original, in words for callers who block, and one call
that runs the original. What can't be made that way is written by hand in ``_blocking_calls``. The
imports at the head of a generated file are written by hand too.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Set, Union

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "bananas"
Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]


class Twin(NamedTuple):
    """A class, the module where it is, and what its twin is called, is made of and is for."""

    module: str
    original: str
    name: str
    base: str
    path: str
    about: str


#: By generated module.
GENERATED: Dict[str, List[Twin]] = {
    "sync": [
        Twin(
            "client",
            "AsyncClient",
            "Client",
            "BlockingCalls",
            "",
            """Submits jobs and waits for results, for callers that block.

    It has the methods of ``AsyncClient``. Use it as ``with Client(url) as client``, or call
    ``close()``. It connects when you make it. Any number of threads can share one client, and
    after a fork both processes can use it.

    In a thread with a running event loop, every method raises RuntimeError, because it would block
    that loop. Use ``AsyncClient`` there, or ``asyncio.to_thread``. Notebook cells are an exception.
""",
        )
    ],
    "_sync_parts": [
        Twin(
            "queue",
            "RedisQueue",
            "BlockingQueue",
            "BlockingPart",
            ".queue",
            """Puts jobs into Redis, and reads, lists and counts them.

    Use it as ``client.queue``. It shares the client's connections.
""",
        ),
        Twin(
            "dead_letters",
            "DeadLetters",
            "BlockingDeadLetters",
            "BlockingClearing",
            ".dead_letters",
            """Lists, requeues and deletes dead letters: jobs that failed with no retries left.

    Use it as ``client.dead_letters``.
""",
        ),
        Twin(
            "result_backend",
            "RedisResultBackend",
            "BlockingResultBackend",
            "BlockingPart",
            ".results",
            """Stores, reads, awaits and deletes results.

    Use it as ``client.results``. It shares the client's connections.
""",
        ),
    ],
}
NAMES = {twin.original: twin.name for twins in GENERATED.values() for twin in twins}
#: Iterators, whose twins are written by hand.
ITERATORS = {
    "AsCompleted": "CompletedResults",
    "JobChanges": "BlockingJobChanges",
    "ListedJobs": "BlockingListedJobs",
}
NAMES.update(ITERATORS)
#: What returns a call that is made page by page.
STEPWISE = {"requeue": "_requeuing", "purge": "_purging"}
#: What reads otherwise for a caller who blocks; each pair is needed.
WORDS = [
    ("If you cancel the call", "If you press Ctrl-C"),
    ("from any task", "from any thread"),
    ("An async iterator", "An iterator"),
    ("``async with``", "``with``"),
    ("Only from ``Client``: no primary", "No primary"),
    ("Only from ``Client``: it is closed", "The client is closed"),
    ("await client.", "client."),
    ("async for", "for"),
    ("AsyncClient()", "Client()"),
    ("AsyncClient.from_sentinel", "Client.from_sentinel"),
]
#: What a caller who blocks can't pass.
ASYNC_ARGUMENTS = {"Union[Iterable[JobSpec], AsyncIterable[JobSpec]]": "Iterable[JobSpec]"}
#: The client alone says so: its constructor connects.
CONNECTS = "        ConnectionError: Redis can't be reached.\n"
#: Checked in the caller's thread: an iterable of the caller's must not run in another one.
CHECKED = {"job_ids": ("ids", "check_job_ids(job_ids)")}
#: Their payloads are read in the caller's thread too.
SUBMITS = {
    "submit_job": """
        entry = self._new_entry(
            name, payload, priority, description, None, job_id, routing_key, max_retries
        )
        return self._submit(entry, if_exists, fresh=job_id is None)""",
    "submit_job_scheduled": """
        due = required_time(scheduled_for)
        entry = self._new_entry(
            name, payload, priority, description, due, job_id, routing_key, max_retries
        )
        return self._submit(entry, if_exists, fresh=job_id is None)""",
    "submit": """
        spec = job_type.spec(payload, scheduled_for=scheduled_for, job_id=job_id)
        entry = self._new_entry(*spec_fields(spec))
        return self._submit(entry, if_exists, fresh=job_id is None)""",
    "call": """
        limit = check_timeout(timeout)
        entry = self._new_entry(*spec_fields(job_type.spec(payload, job_id=job_id)))
        result = self._run(
            lambda client: client._submit_and_wait(
                entry, limit, fresh=job_id is None, any_attempt=False
            )
        )
        return job_type.load_result(result)""",
    "submit_and_wait": """
        limit = check_timeout(timeout)
        entry = self._new_entry(
            name, payload, priority, description, None, job_id, routing_key, max_retries
        )
        fresh, any_attempt = job_id is None, not wait_for_retries
        cancels = check_on_timeout(on_timeout)
        return self._run(
            lambda client: client._submit_and_wait(
                entry, limit, fresh=fresh, any_attempt=any_attempt, cancels=cancels
            )
        )""",
}


def generate(module: str) -> str:
    """Return the text of a generated module, not yet formatted."""
    path = PACKAGE / f"{module}.py"
    text = path.read_text(encoding="utf-8")
    head = text[: text.index("\nclass ")]
    return "\n\n".join([head.rstrip(), *map(make_class, GENERATED[module])]) + "\n"


def make_class(twin: Twin) -> str:
    """Return the text of a twin."""
    source = (PACKAGE / f"{twin.module}.py").read_text(encoding="utf-8")
    original = find_class(ast.parse(source), twin.original)
    by_hand = methods_by_hand(twin.base)
    lines = [f'\nclass {twin.name}({twin.base}):\n    """{twin.about}']
    if twin.path == "":
        arguments = text_of(source, original.body[0]).partition("    Args:\n")[2]
        lines[0] += f"\n    Args:\n{arguments.rstrip().rstrip(chr(34)).rstrip()}\n{CONNECTS}"
    lines[0] += '    """'
    lines += [
        make_method(source, function, twin, by_hand)
        for function in functions(original)
        if is_shared(function, twin)
    ]
    return "\n\n".join(lines)


def is_shared(function: Function, twin: Twin) -> bool:
    """Whether the twin has this method; a part is made by the client, whatever it is made of."""
    if function.name == "__init__":
        return twin.path == ""
    return function.name != "aclose" and not function.name.startswith("_")


def make_method(source: str, function: Function, twin: Twin, by_hand: Set[str]) -> str:
    """Return the text of one method of a twin."""
    first = function.body[0]
    decorated = min([function.lineno, *(node.lineno for node in function.decorator_list)])
    lines = source.splitlines()
    is_overload = any(ast.dump(node) == OVERLOAD for node in function.decorator_list)
    if is_overload:
        return "\n".join(lines[decorated - 1 : function.end_lineno]).replace("async def", "def", 1)
    signature = "\n".join(lines[decorated - 1 : first.lineno - 1]).replace("async def", "def", 1)
    for original, name in NAMES.items():
        signature = signature.replace(f"-> {original}:", f"-> {name}:")
    for theirs, ours in ASYNC_ARGUMENTS.items():
        signature = signature.replace(theirs, ours)
    body = make_body(function, twin, by_hand)
    if function.name == "__init__":
        return f"{signature}\n{body}"
    text = text_of(source, first)
    for theirs, ours in WORDS:
        text = text.replace(theirs, ours)
    return f"{signature}\n{text}\n{body}"


def make_body(function: Function, twin: Twin, by_hand: Set[str]) -> str:
    """Return the statements of a method: checks in the caller's thread, and one call."""
    arguments = list(arguments_of(function))
    if function.name == "__init__":
        made = f"functools.partial({twin.original}, {', '.join(arguments)})"
        return f"        self._set_up({made})"
    if function.name == "from_sentinel":
        made = f"functools.partial({twin.original}.from_sentinel, {', '.join(arguments)})"
        lines = ["client = cls.__new__(cls)", f"client._set_up({made})", "return client"]
        return "\n".join(f"        {line}" for line in lines)
    returned = getattr(function.returns, "id", "")
    if function.name in by_hand:
        return f"        return super().{function.name}({', '.join(arguments)})"
    if function.name in SUBMITS:
        return SUBMITS[function.name][1:]
    if function.decorator_list:  # a property: a part
        return f"        return {NAMES[returned]}(self._run, repr(self))"
    lines = []
    for name, (checked, check) in CHECKED.items():
        if name in arguments:
            arguments[arguments.index(name)] = checked
            lines.append(f"{checked} = {check}")
    if (
        function.name in STEPWISE and "progress=progress" in arguments
    ):  # which runs in the caller's thread, between two calls
        arguments.remove("progress=progress")
        begun = f"client{twin.path}.{STEPWISE[function.name]}({', '.join(arguments)})"
        return f"        return self._clear(lambda client: {begun}, progress)"
    call = f"lambda client: client{twin.path}.{function.name}({', '.join(arguments)})"
    if returned in ITERATORS:
        lines.append(f"return {NAMES[returned]}(self._run, {call})")
    else:
        lines.append(f"return self._run({call})")
    return "\n".join(f"        {line}" for line in lines)


def arguments_of(function: Function) -> Iterator[str]:
    """Give the arguments that pass a function's own parameters on."""
    yield from (parameter.arg for parameter in function.args.args[1:])
    yield from (f"{parameter.arg}={parameter.arg}" for parameter in function.args.kwonlyargs)


OVERLOAD = ast.dump(ast.Name("overload", ast.Load()))


def functions(node: ast.ClassDef) -> List[Function]:
    """Return the methods of a class, in their order, overloads included."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [child for child in node.body if isinstance(child, kinds)]


def find_class(tree: ast.Module, name: str) -> ast.ClassDef:
    """Return a class of a module."""
    (found,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    return found


def methods_by_hand(base: str) -> Set[str]:
    """Return the names of the public methods that the base of a twin has."""
    tree = ast.parse((PACKAGE / "_blocking_calls.py").read_text(encoding="utf-8"))
    names = {function.name for function in functions(find_class(tree, base))}
    return {name for name in names if not name.startswith("_")}


def text_of(source: str, node: ast.stmt) -> str:
    """Return the lines of a statement."""
    return "\n".join(source.splitlines()[node.lineno - 1 : node.end_lineno])


def formatted(text: str) -> str:
    """Return a module as ruff lays it out."""
    settings = str(PACKAGE.parent.parent / "pyproject.toml")
    command = [sys.executable, "-m", "ruff", "format", "--config", settings, "-"]
    return subprocess.run(
        command, input=text, stdout=subprocess.PIPE, encoding="utf-8", check=True
    ).stdout


def main() -> int:
    """Write the generated modules, or say whether they are as they would be written."""
    parser = argparse.ArgumentParser(prog="python -m tests.twin", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if one is stale")
    is_check = parser.parse_args().check
    stale = 0
    for module in GENERATED:
        path = PACKAGE / f"{module}.py"
        text = formatted(generate(module))
        if text == path.read_text(encoding="utf-8"):
            continue
        stale += 1
        if is_check:
            print(f"src/bananas/{module}.py is stale; run: nox -s twin")
        else:
            path.write_text(text, encoding="utf-8")
            print(f"wrote src/bananas/{module}.py")
    return int(is_check and stale > 0)


if __name__ == "__main__":
    sys.exit(main())
