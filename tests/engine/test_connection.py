"""Every wait for the daemon has a limit, and every failure of its client is one clear line."""

from __future__ import annotations

import contextlib
import http.server
import io
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from cgbench.engine import endpoint
from cgbench.engine.connection import INFO, Answer, Connection, containers
from cgbench.engine.container_spec import ContainerSpec
from cgbench.engine.engine import Engine
from cgbench.engine.facts import Inspected, NamedAlike
from cgbench.engine.labels import LABEL, OWNER
from cgbench.errors import DockerUnavailable, EngineError, NoAnswer
from tests.made.daemon import HERE, PRESENT, MadeUpDaemon, listening

SPEC = ContainerSpec("x", "image", (), "run", {}, None, None, 30, None)
USABLE = {"version": PRESENT, "knows_update": True}


@contextmanager
def connected(folder: Path, timeout_s: float | None = None, **what: object) -> Iterator[Engine]:
    """Connect to a daemon that is usable, but for what is said of it.

    `timeout_s` is how long an answer is waited for after that, since none comes.
    """
    with listening(folder / "sock", **{**USABLE, **what}) as address:
        engine = Engine({"DOCKER_HOST": address})
        try:
            if timeout_s is not None:
                engine._connection.patience.usual_s = timeout_s
            yield engine
        finally:
            engine.close()


def start(engine: Engine) -> None:
    with engine.container(SPEC):
        pass


ASKED: dict[str, Callable[[Engine], object]] = {
    "create": start,
    "update": lambda engine: engine.update("id", {"cpu-quota": 5000}),
    "pause": lambda engine: engine.command("id", "pause"),
    "inspect": lambda engine: engine.state("id"),
    "limits": lambda engine: engine.host_config("id"),
    "declared limits": lambda engine: engine.declared("id"),
    "logs": lambda engine: engine.logs("id"),
    "leftovers": lambda engine: engine.leftovers(),
    "one reading of stats": lambda engine: engine.stats_once("id"),
    "the stream of stats": lambda engine: engine.stats("id"),
    "the stream of events": lambda engine: engine.events("run"),
    "an image": lambda engine: engine.images.has_image("image"),
    "an import": lambda engine: engine.images.import_image(io.BytesIO(b"tar"), "image"),
}


@pytest.mark.parametrize("what", sorted(set(ASKED) - {"an import"}))
def test_a_daemon_that_never_answers_is_given_up_with_a_message(tmp_path: Path, what: str) -> None:
    hangs = "containers/(?!cgbench-nobody)|events|images"
    with connected(tmp_path, timeout_s=0.1, hangs=hangs) as engine:
        began = time.monotonic()
        with pytest.raises(EngineError, match=r"did not answer within 0\.1 s") as caught:
            ASKED[what](engine)
    assert "unix://" in caught.value.message
    assert caught.value.advice
    assert time.monotonic() - began < 10


def test_a_daemon_that_hung_once_is_waited_for_less_until_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by reading: each container of a trial would be waited for as long again."""
    monkeypatch.setattr("cgbench.engine.patience._HUNG_S", 0.1)

    def waited(engine: Engine) -> float:
        began = time.monotonic()
        with pytest.raises(NoAnswer):
            engine.command("id", "pause")
        return time.monotonic() - began

    with connected(tmp_path, timeout_s=1, hangs="containers/id") as engine:
        assert 1 <= waited(engine) < 30
        # The quickest: other load may hold up any of them.
        assert 0.1 <= min(waited(engine) for _ in range(3)) < 1
        # Beside other load an answer may take longer than that.
        for _ in range(50):
            with contextlib.suppress(NoAnswer):
                engine.describe()
                break
        assert 1 <= waited(engine) < 30


@pytest.mark.parametrize("hangs", ["/version$", "/info$", "cgbench-nobody"])
def test_a_daemon_that_hangs_from_the_first_request_on_is_given_up(
    tmp_path: Path, hangs: str
) -> None:
    with (
        listening(tmp_path / "sock", **USABLE, hangs=hangs) as address,
        pytest.raises(EngineError, match="answer"),
    ):
        Engine({"DOCKER_HOST": address}, 0.2)


@pytest.mark.parametrize(
    ("said", "warnings"),
    [
        (b'{"Warnings": null}', ()),
        (b'{"Warnings": []}', ()),
        (b'{"Warnings": ["a", "b"]}', ("a", "b")),
        (b'{"Warnings": "all is well"}', ("all is well",)),
        (b'{"Warnings": [1]}', ("1",)),
        (b'{"Warnings": {"a": 1}}', ("{'a': 1}",)),
        (b"{}", ()),
        (b"", ()),
    ],
)
def test_whatever_a_daemon_says_for_warnings_is_kept_as_texts(
    tmp_path: Path, said: bytes, warnings: tuple[str, ...]
) -> None:
    with connected(tmp_path, says=(200, said)) as engine:
        assert engine.update("id", {"cpu-quota": 5000}).warnings == warnings


def test_an_update_is_waited_for_no_longer_than_its_own_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cgbench.engine.engine.UPDATE_TIMEOUT_S", 0.1)
    with (
        connected(tmp_path, hangs="containers/id") as engine,
        pytest.raises(NoAnswer, match=r"did not answer within 0\.1 s"),
    ):
        engine.update("id", {"cpu-quota": 5000})


@pytest.mark.parametrize(
    ("says", "declared"),
    [
        ((200, b'{"HostConfig": {"CpuQuota": 5}}'), {"CpuQuota": 5}),
        ((404, b'{"message": "No such container"}'), {}),
    ],
)
def test_of_a_container_that_is_gone_nothing_is_declared(
    tmp_path: Path, says: tuple[int, bytes], declared: dict[str, int]
) -> None:
    with connected(tmp_path, says=says) as engine:
        assert engine.declared("id") == declared


def test_a_removal_is_tried_for_a_while_and_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cgbench.engine.engine._REMOVE_TIMEOUT_S", 0.2)
    with connected(tmp_path, timeout_s=0.1, hangs="containers/id") as engine:
        began = time.monotonic()
        with pytest.raises(EngineError, match="cannot remove id"):
            engine.remove("id")
    assert time.monotonic() - began < 10


def test_a_daemon_that_hung_once_is_waited_for_less_at_the_next_removal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cgbench.engine.engine._REMOVE_TIMEOUT_S", 0)
    monkeypatch.setattr("cgbench.engine.patience._HUNG_S", 0.1)

    def waited(engine: Engine) -> float:
        began = time.monotonic()
        with pytest.raises(NoAnswer, match=r"cannot remove id: Docker at .* did not answer"):
            engine.remove("id")
        return time.monotonic() - began

    with connected(tmp_path, timeout_s=1, hangs="containers/id") as engine:
        assert waited(engine) >= 1
        # The quickest: other load may hold up any of them.
        assert min(waited(engine) for _ in range(3)) < 1


def test_a_registry_that_never_answers_gives_no_image(tmp_path: Path) -> None:
    with connected(tmp_path, hangs="images/create") as engine:
        assert not engine.images.pull("debian:none", 0.3)


NONSENSE = [
    (500, b"<html>no"), (200, b"<html>what"), (200, b""), (200, b"{}"), (200, b'{"State": {}}'),
    (200, b"[]"), (200, b"[{}]"), (200, b"7"),
]  # fmt: skip
STREAMS = {"the stream of stats", "the stream of events", "logs"}


@pytest.mark.parametrize("what", sorted(set(ASKED) - STREAMS))
@pytest.mark.parametrize("says", NONSENSE)
def test_a_daemon_that_talks_nonsense_is_one_line(
    tmp_path: Path, what: str, says: tuple[int, bytes]
) -> None:
    with connected(tmp_path, says=says) as engine:
        try:
            found = ASKED[what](engine)
        except EngineError as error:
            assert error.message  # noqa: PT017
            assert "\n" not in error.message  # noqa: PT017
        else:
            # A request that asks nothing back may be refused, or answered by an empty object.
            refused = isinstance(found, Answer) and found.refusal
            asks_nothing = what in ("update", "pause", "an image", "an import")
            empty = what == "one reading of stats" or (what, says[1]) == ("leftovers", b"[]")
            assert refused or asks_nothing or empty, found


def test_a_containers_name_adds_nothing_to_the_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Second rank: the name was put into the request as it was."""
    asked: list[str] = []

    def ask(path: str, _body: object) -> None:
        asked.append(path)
        raise EngineError("enough")

    with connected(tmp_path) as engine:
        monkeypatch.setattr(engine._connection, "ask", ask)
        with pytest.raises(EngineError, match="enough"):
            engine.create(replace(SPEC, name="x&platform=evil#/../y"))
    assert asked == ["/containers/create?name=x%26platform%3Devil%23%2F..%2Fy"]


def test_the_daemons_own_words_are_the_message(tmp_path: Path) -> None:
    with connected(tmp_path, says=(500, b'{"message": "no space left"}')) as engine:
        with pytest.raises(EngineError, match="Docker refused: no space left"):
            engine.leftovers()
        with pytest.raises(EngineError, match="cannot create container x: no space left"):
            start(engine)


@pytest.mark.parametrize("what", sorted(set(ASKED) - {"an import"}))
def test_a_daemon_that_goes_away_is_one_line(tmp_path: Path, what: str) -> None:
    drops = "containers/(?!cgbench-nobody)|events|images"
    with (
        connected(tmp_path, drops=drops) as engine,
        pytest.raises(EngineError, match="Docker does not answer: ") as caught,
    ):
        ASKED[what](engine)
    assert "\n" not in caught.value.message
    assert caught.value.advice


def test_a_stream_that_breaks_says_so_and_keeps_what_came(tmp_path: Path) -> None:
    with connected(tmp_path, cut="/events") as engine:
        stream = engine.events("run")
        stream._thread.join(5)
        assert [event.action for event in stream.finish()] == ["start"]
        assert stream.broken is not None
        assert stream.broken.startswith("the stream of Docker's events broke: ")


def test_a_stream_of_stats_that_breaks_keeps_what_came(tmp_path: Path) -> None:
    with connected(tmp_path, cut="/stats") as engine:
        stream = engine.stats("id")
        (point,) = stream.finish()
        assert (point.cpus, point.memory_bytes) == (None, None)
        assert stream.broken is not None
        assert stream.broken.startswith("the stream of docker stats broke: ")


def test_no_listener_is_told_with_its_address(tmp_path: Path) -> None:
    with pytest.raises(DockerUnavailable, match=r"no Docker daemon answers at unix://.*/none"):
        Engine({"DOCKER_HOST": f"unix://{tmp_path}/none"})


OTHERS: list[dict[str, object]] = [
    {"Id": "a" * 64, "Image": "postgres:16", "Labels": None},
    {"Id": "b" * 64, "Image": "shop", "Labels": {"app": "shop"}},
    {"Id": "c" * 64, "Image": "cgbench", "Labels": {LABEL: "x", OWNER: "77-5"}},
    {"Id": "d" * 64, "Image": "cgbench", "Labels": {LABEL: "y", OWNER: ""}},
]


@pytest.mark.parametrize("kept_alive", [False, True])
def test_others_containers_stop_with_the_daemon_unless_it_keeps_them_alive(
    tmp_path: Path, *, kept_alive: bool
) -> None:
    """Finding 12."""
    info = {**HERE, "LiveRestoreEnabled": kept_alive}
    says = (200, json.dumps(OTHERS).encode())
    with connected(tmp_path, says=says, info=info) as engine:
        stopped = engine.stopped_by_a_restart()
    assert stopped == ([] if kept_alive else [f"postgres:16 {'a' * 12}", f"shop {'b' * 12}"])


def test_containers_whose_owner_lives_are_no_leftovers(tmp_path: Path) -> None:
    """Finding 17 b: another cgbench of the same daemon may be in another PID namespace."""
    listed = json.dumps(OTHERS[2:]).encode()
    with connected(tmp_path, says=(200, listed)) as engine:
        assert engine.leftovers(is_dead=lambda owner: False) == ["d" * 64]
        assert engine.leftovers(is_dead=lambda owner: owner == "77-5") == ["c" * 64, "d" * 64]
        assert engine.leftovers() == ["c" * 64, "d" * 64]


def test_containers_that_are_named_alike_are_listed_with_what_mark_they_carry(
    tmp_path: Path,
) -> None:
    names = ["db", "cgbench-shop", "cgbench-x-0001", "renamed"]
    listed = [{**one, "Names": [f"/{name}"]} for one, name in zip(OTHERS, names, strict=True)]
    says = (200, json.dumps([*listed, {**OTHERS[0], "Names": None}]).encode())
    with connected(tmp_path, says=says, timeout_s=5) as engine:
        assert engine.named_alike() == [
            NamedAlike("cgbench-shop", marked=False, owner=""),
            NamedAlike("cgbench-x-0001", marked=True, owner="77-5"),
            NamedAlike("renamed", marked=True, owner=""),
        ]


def test_containers_are_inspected_ahead_in_order_and_each_has_its_own_end(tmp_path: Path) -> None:
    answers = {
        3: (404, b'{"message": "No such container"}'),
        5: (500, b'{"message": "no"}'),
        6: (200, b"{}"),
    }

    def look(handler: MadeUpDaemon) -> None:
        at = re.search("container-([0-9])", handler.path)
        if at is None or at[1] == "7":
            MadeUpDaemon.do_GET(handler)
        else:
            body = b'{"State": {"Pid": %d}, "HostConfig": {}}' % int(at[1])
            handler._answer(*answers.get(int(at[1]), (200, body)))

    found: list[object] = []
    with connected(tmp_path, do_GET=look, drops="container-7") as engine:
        for inspect in engine.inspected_ahead(f"container-{at}" for at in range(1, 10)):
            try:
                inspected = inspect()
                found.append(None if inspected is None else inspected.pid)
            except EngineError as error:
                found.append(error.message.partition(":")[0])
    assert found == [
        1, 2, None, 4, "Docker refused", "Docker's answer lacks State",
        "Docker does not answer", 8, 9,
    ]  # fmt: skip


def test_one_that_hangs_is_waited_for_beside_those_that_were_asked_with_it(tmp_path: Path) -> None:
    with connected(tmp_path, timeout_s=0.3, hangs="containers/container") as engine:
        began = time.monotonic()
        for inspect in engine.inspected_ahead(f"container-{at}" for at in range(5)):
            with pytest.raises(NoAnswer, match="did not answer within"):
                inspect()
        assert time.monotonic() - began < 0.3 * 4


def test_what_was_asked_ahead_is_forgotten_where_nobody_goes_on(tmp_path: Path) -> None:
    with connected(tmp_path, says=(200, b'{"State": {"Pid": 5}, "HostConfig": {}}')) as engine:
        asked = engine.inspected_ahead(f"container-{at}" for at in range(9))
        assert next(asked)() == Inspected(5, {})
        del asked
        assert engine.inspected("container") == Inspected(5, {})


def test_what_is_asked_ahead_is_asked_once_and_later_anew(tmp_path: Path) -> None:
    asked: list[str] = []

    def note(handler: MadeUpDaemon) -> None:
        asked.append(handler.path)
        MadeUpDaemon.do_GET(handler)

    path, says = containers(stopped=False), (200, json.dumps(OTHERS).encode())
    with listening(tmp_path / "sock", **USABLE, do_GET=note, says=says) as address:
        at = endpoint.choose({"DOCKER_HOST": address})
        ahead = Connection(at, ahead=(INFO, path, "/never/wanted"))
        engine = Engine(connection=ahead)
        try:
            assert ahead.listed(path) == OTHERS
            # Nobody waits for the answer to the last one, which may not have come yet.
            limit = time.monotonic() + 60
            while len(asked) < 4 and time.monotonic() < limit:
                time.sleep(0.01)
            assert sorted(asked) == sorted(["/version", INFO, path, "/never/wanted"])
            assert ahead.listed(path) == OTHERS
            assert asked[4:] == [f"/v1.41{path}"]
        finally:
            engine.close()


def test_one_connection_serves_the_requests_for_all_containers(tmp_path: Path) -> None:
    """Docker's client opened one for each: half of the time of an audit of many."""
    begun: list[object] = []

    def setup(handler: MadeUpDaemon) -> None:
        begun.append(handler)
        http.server.BaseHTTPRequestHandler.setup(handler)

    says = (200, b'{"HostConfig": {"PidsLimit": 5}}')
    with connected(tmp_path, protocol_version="HTTP/1.1", setup=setup, says=says) as engine:
        before = len(begun)
        for number in range(5):
            assert engine.host_config(f"container-{number}") == {"PidsLimit": 5}
    assert len(begun) == before
