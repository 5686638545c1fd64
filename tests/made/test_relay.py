"""The proxy passes everything on as it is, but for updates, which the spoiler answers."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.made import daemon
from tests.made.relay import OK, Docker, Document, Relay, Reply, Spoiler, Update, listening, refusal
from tests.made.wire import Wire, connected

CONTAINER = "c" * 64
SAYS = (200, json.dumps({"HostConfig": {"CpuQuota": 80_000}, "Warnings": None}).encode())


class Dropping(Spoiler):
    """Answers ok and does nothing."""

    def update(self, update: Update) -> Reply:
        return OK


class Failing(Spoiler):
    """Cannot do its work."""

    def update(self, update: Update) -> Reply:
        raise OSError("no such file")


@contextmanager
def before_a_daemon(spoiler: Spoiler, folder: Path) -> Iterator[Relay]:
    path = folder / "real.sock"
    with daemon.listening(path, says=SAYS), listening(spoiler, Docker(str(path))) as relay:
        yield relay


def asked(relay: Relay, method: str, path: str, document: object | None = None) -> Reply:
    return Docker(relay.address).ask(method, path, document)


def updated(relay: Relay) -> Reply:
    return asked(relay, "POST", f"/containers/{CONTAINER}/update", {"CpuQuota": 30_000})


def test_what_is_no_update_is_passed_on(tmp_path: Path) -> None:
    with before_a_daemon(Dropping(), tmp_path) as relay:
        assert asked(relay, "GET", "/version").document == daemon.OLD


def test_an_update_reaches_the_daemon_and_is_noted_with_what_held_before(tmp_path: Path) -> None:
    with before_a_daemon(Spoiler(), tmp_path) as relay:
        assert updated(relay).document["Warnings"] is None
    (update,) = relay.updates
    assert (update.body, update.before) == ({"CpuQuota": 30_000}, {"CpuQuota": 80_000})
    assert [sent.body for sent in update.sent] == [{"CpuQuota": 30_000}]


def test_a_spoiler_that_drops_updates_answers_without_the_daemon(tmp_path: Path) -> None:
    with before_a_daemon(Dropping(), tmp_path) as relay:
        assert updated(relay).ok
    assert [update.sent for update in relay.updates] == [[]]


def test_a_spoiler_that_fails_is_noted_and_not_taken_for_a_lie(tmp_path: Path) -> None:
    with before_a_daemon(Failing(), tmp_path) as relay:
        assert updated(relay).status == 500
    assert [str(fault) for fault in relay.faults] == ["no such file"]


def test_what_is_due_when_the_run_is_over_is_left_undone(tmp_path: Path) -> None:
    with before_a_daemon(Spoiler(), tmp_path) as relay:
        updated(relay)
        (update,) = relay.updates
        update.later(3600, update.apply)
    assert len(update.sent) == 1


def test_what_the_daemon_refuses_a_spoiler_is_no_lie_made(tmp_path: Path) -> None:
    path = tmp_path / "real.sock"
    with (
        daemon.listening(path, says=(500, SAYS[1])),
        listening(Spoiler(), Docker(str(path))) as relay,
    ):
        update = Update(relay, CONTAINER, {}, 1, 0, {})
        with pytest.raises(AssertionError, match="would not spoil"):
            update.surely()


def test_one_connection_carries_many_requests(tmp_path: Path) -> None:
    with (
        before_a_daemon(Dropping(), tmp_path) as relay,
        connected(relay.address) as connection,
        Wire(connection) as wire,
    ):
        for _ in range(3):
            wire.send(f"POST /v1.41/containers/{CONTAINER}/update HTTP/1.1\r\n"
                      "Content-Length: 2\r\n\r\n{}".encode())  # fmt: skip
            head = wire.head()
            assert head is not None
            assert wire.body(head) == OK.body
    assert len(relay.updates) == 3


def test_a_stream_is_passed_on_piece_by_piece_until_it_breaks(tmp_path: Path) -> None:
    path = tmp_path / "real.sock"
    with (
        daemon.listening(path, cut="/events"),
        listening(Spoiler(), Docker(str(path))) as relay,
        connected(relay.address) as connection,
        Wire(connection) as wire,
    ):
        wire.send(b"GET /v1.41/events HTTP/1.1\r\n\r\n")
        head = wire.head()
        assert head is not None
        assert head.chunked
        assert b'"Action": "start"' in wire.chunk()


def test_an_event_that_is_not_to_be_known_of_is_left_out(tmp_path: Path) -> None:
    class Deaf(Spoiler):
        def hears(self, event: Document) -> bool:
            return event["Action"] != "start"

    path = tmp_path / "real.sock"
    with (
        daemon.listening(path, cut="/events"),
        listening(Deaf(), Docker(str(path))) as relay,
        connected(relay.address) as connection,
        Wire(connection) as wire,
    ):
        wire.send(b"GET /v1.41/events HTTP/1.1\r\n\r\n")
        assert wire.head() is not None
        with pytest.raises(ConnectionError):
            wire.chunk()


def test_only_root_can_reach_it_and_nothing_of_it_is_left(tmp_path: Path) -> None:
    with before_a_daemon(Spoiler(), tmp_path) as relay:
        folder = Path(relay.address).parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not folder.exists()


def test_a_refusal_reads_as_dockers_own() -> None:
    assert refusal(500, "no").document == {"message": "no"}
