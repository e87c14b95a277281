"""Ctrl-C in the middle of commands that change many jobs, on a terminal of a real Redis."""

from __future__ import annotations

import functools
import json
from typing import Callable, List, Sequence

import pytest

from tests.behaviour.broker import Broker
from tests.behaviour.command_line import Bananas, bananas_command
from tests.behaviour.letters import D, bury
from tests.behaviour.terminal import Interrupted, interrupted_in_turn
from tests.support import FaultProxy, GoSilent, Rule

__all__ = ["bananas_command"]

P, LIST = "bananas:queue:processing", "bananas:queue:normal"


def _changes(names: str) -> Callable[[Sequence[bytes]], bool]:
    """Match what changes a page of such jobs; rights are asked for with a script of one line."""
    key = f"bananas:job:{names}".encode()

    def match(words: Sequence[bytes]) -> bool:
        is_change = words[0].upper() == b"EVAL" and words[1] != b"return 1"
        return is_change and any(word.startswith(key) for word in words)

    return match


def _fired(rule: Rule) -> bool:
    return rule.fired > 0


def test_ctrl_c_in_the_middle(
    real_broker: Broker,
    proxy: FaultProxy,
    bananas_command: Bananas,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It says what was done, and how to go on, and the same command again does the rest."""
    for number in range(300):
        bury(real_broker, f"work{number}")
    for number in range(300):
        bury(real_broker, f"mail{number}", name="mail")
    ids = [f"job{number}" for number in range(700)]
    for job_id in ids:
        document = {"id": job_id, "name": "work", "priority": "normal", "status": "pending"}
        real_broker.command(
            "SET", f"bananas:job:{job_id}", json.dumps({**document, "max_retries": 3})
        )
    real_broker.command("LPUSH", P, *ids)
    real_broker.command("LPUSH", "bananas:queue:low", *(f"gone{n}" for n in range(700)))
    monkeypatch.setenv("BANANAS_REDIS_URL", real_broker.url)
    assert bananas_command("recover", "--idle-for", "0s", "--yes", "-q") == (0, "0\n", "")

    # The second page of each command goes out, and nothing comes back.
    commands: List[Interrupted] = []
    for line, until, names in (
        ("dead requeue --name work --yes", "requeued 200", "work"),
        ("dead purge --name mail --yes", "deleted 100", "mail"),
        ("recover --idle-for 0s --yes", "recovered 500", "job"),
        ("doctor --observe 0 --repair --yes", "repairing", "gone"),
    ):
        rule = proxy.on(_changes(names), GoSilent(), skip=1)
        commands.append(Interrupted(line.split(), until, functools.partial(_fired, rule)))
    monkeypatch.setenv("BANANAS_REDIS_URL", proxy.url())
    requeue, purge, recover, repair = interrupted_in_turn(commands)

    assert [done.status for done in (requeue, purge, recover, repair)] == [130] * 4
    again = "perhaps more; to go on, run it again"
    assert f"interrupted; requeued: 200, {again}" in requeue.out
    assert f"interrupted; deleted: 100, {again}" in purge.out
    assert f"interrupted; recovered: 500, {again}" in recover.out
    assert f"interrupted; repaired: 500, {again}" in repair.out
    assert all("\x1b[2K" in done.out for done in (requeue, purge, recover, repair))
    assert real_broker.command("LLEN", D) == 300
    assert real_broker.command("LLEN", P) == 200
    assert real_broker.command("LLEN", "bananas:queue:low") == 200

    monkeypatch.setenv("BANANAS_REDIS_URL", real_broker.url)
    for command, left in zip(commands, ("100\n", "200\n", "200\n", "200\n")):
        done = bananas_command(*command.arguments, "--quiet")
        assert (done.status, done.out.splitlines(True)[-1]) == (0, left)
    assert real_broker.command("LLEN", LIST) == 300 + 700
    assert real_broker.command("EXISTS", D, P, "bananas:queue:low") == 0
