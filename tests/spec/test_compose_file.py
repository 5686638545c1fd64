"""Limits of a compose file are read as options; what is no such file is named."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

from cgbench.errors import OptionError
from cgbench.spec import compose_file

TEXT = """
services:
  web:
    image: nginx
    cpus: 0.5
    mem_limit: 512m
    memswap_limit: -1
    pids_limit: 100
    cpuset: "0,1"
  db:
    cpu_quota: 50ms
    cpu_period: 100000
    cpu_shares: 512
    mem_limit: ${DB_MEMORY:-1g}
    blkio_config: { weight: 300 }
  worker:
    deploy:
      resources:
        limits: { cpus: "1.5", memory: 1gb, pids: 20 }
        reservations: { memory: 64M }
  free: {}
"""


def test_limits_are_read_by_service_in_the_units_of_their_options() -> None:
    assert compose_file.parse(TEXT, "c.yml") == {
        "web": {"cpus": "0.5", "memory": 512 * 2**20, "pids-limit": 100, "cpuset-cpus": "0,1"},
        "db": {"cpu-quota": 50000, "cpu-period": 100000, "cpu-shares": 512, "blkio-weight": 300},
        "worker": {"cpus": "1.5", "memory": 2**30, "pids-limit": 20,
                   "memory-reservation": 64 * 2**20},
        "free": {},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("services: [", "c.yml: no YAML"),
        ("a: 1", "c.yml: no services in it"),
        ("- 1", "c.yml: no services in it"),
        ("", "c.yml: no services in it"),
        ("services: { web: { mem_limit: half } }", "c.yml: web: 'half' is no --memory"),
        ("services: { web: { cpus: [1] } }", "c.yml: web: a list is no --cpus"),
        ("services: { web: { cpu_quota: 5 weeks } }", "c.yml: web: '5 weeks' is no --cpu-quota"),
        ("a: &a [*a]", "c.yml: no"),
        ("services: !!python/object/apply:os.system ['true']", "c.yml: no YAML"),
    ],
)
def test_what_is_no_compose_file_is_named(text: str, message: str) -> None:
    with pytest.raises(OptionError) as refused:
        compose_file.parse(text, "c.yml")
    assert refused.value.message.startswith(message)


def test_a_few_aliases_that_stand_for_billions_of_words_are_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    text = "\n".join([*lines, "services: { web: { mem_limit: *a11 } }"])
    with pytest.raises(OptionError, match="a list is no --memory"):
        compose_file.parse(text, "c.yml")


def test_odd_parts_declare_nothing() -> None:
    assert compose_file.parse("services: { web: 7, db: { deploy: [1] } }", "c") == {"db": {}}


def test_a_file_that_cannot_be_read_or_is_endless_is_named(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="cannot read"):
        compose_file.read(tmp_path / "absent")
    with pytest.raises(OptionError, match="longer than"):
        compose_file.read(Path("/dev/zero"))


def test_without_pyyaml_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name == "yaml":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(OptionError) as refused:
        compose_file.parse(TEXT, "c.yml")
    assert "cgbench[compose]" in (refused.value.advice or "")
