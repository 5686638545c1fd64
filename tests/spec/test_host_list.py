"""A file of hosts: defaults below each host's own, and every slip named by its host."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgbench.errors import FleetError
from cgbench.spec import host_list

GOOD = """
[defaults]
user = "root"
tags = ["all"]
[[hosts]]
name = "web01"
address = "10.0.0.11"
tags = ["web", "eu"]
[[hosts]]
name = "db01"
user = "admin"
port = 2222
"""


def test_what_a_host_does_not_say_is_taken_from_the_defaults() -> None:
    web, database = host_list.parse(GOOD, "hosts.toml").hosts
    assert (web.user, web.reached_at, web.tags) == ("root", "10.0.0.11", ("web", "eu"))
    assert (database.user, database.reached_at, database.port) == ("admin", "db01", 2222)
    assert database.tags == ("all",)


def test_hosts_are_chosen_by_tag_or_name() -> None:
    hosts = host_list.parse(GOOD, "hosts.toml")
    assert [one.name for one in hosts.chosen(("web",), ())] == ["web01"]
    assert [one.name for one in hosts.chosen((), ("db01",))] == ["db01"]
    assert [one.name for one in hosts.chosen((), ())] == ["web01", "db01"]
    with pytest.raises(FleetError, match="no host has the tag wbe"):
        hosts.chosen(("wbe",), ())
    with pytest.raises(FleetError, match="no host is called web02"):
        hosts.chosen((), ("web02",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no host in it"),
        ("hosts = 3", "are tables"),
        ("hosts = [3]", "host 1 is no table"),
        ("[[hosts]]\naddress = 'a'", "host 1: name: Field required"),
        ("[[hosts]]\nname = '../etc'", "host 1: name"),
        ("[[hosts]]\nname = 'a'\nport = 0", "a: port"),
        ("[[hosts]]\nname = 'a'\nuser = '-oProxyCommand=x'", "a: user"),
        ("[[hosts]]\nname = 'a'\naddress = '-oProxyCommand=x'", "a: address"),
        ("[[hosts]]\nname = 'a'\npython = '-c'", "a: python"),
        ("[[hosts]]\nname = 'a'\nnmae = 'b'", "a: nmae"),
        ("[[hosts]]\nname = 'a'\n[[hosts]]\nname = 'A'", "two hosts are called A"),
        (
            "[[hosts]]\nname = 'a'\naddress = 'x'\n[[hosts]]\nname = 'b'\naddress = 'X'",
            "b and a are at one address",
        ),
        ("[defaults]\nname = 'a'\n[[hosts]]\nname = 'b'", "defaults: unknown key name"),
        ("host = 1\n[[hosts]]\nname = 'b'", "unknown key host"),
        ("[[hosts]", "hosts.toml: "),
    ],
)
def test_a_slip_is_named_with_its_host(text: str, said: str) -> None:
    with pytest.raises(FleetError) as caught:
        host_list.parse(text, "hosts.toml")
    assert said in str(caught.value)
    assert "hosts.toml" in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="no-such"):
        host_list.read(tmp_path / "no-such.toml")


def test_two_ports_of_one_address_are_two_hosts() -> None:
    text = "[[hosts]]\nname='a'\naddress='x'\n[[hosts]]\nname='b'\naddress='x'\nport=2222"
    assert len(host_list.parse(text, "hosts.toml").hosts) == 2


@given(st.text(max_size=200))
def test_any_text_is_hosts_or_one_error(text: str) -> None:
    said = ""
    try:
        host_list.parse(text, "hosts.toml")
    except FleetError as error:
        said = error.message
    assert said == "" or said.startswith("hosts.toml")
