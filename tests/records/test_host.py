"""A host: what it says of itself, and what an older run did not say."""

from __future__ import annotations

from cgbench.records.host import Host
from tests.made.records import run


def test_a_run_from_before_they_were_recorded_has_cpus_from_0_on_and_pages_of_4_kib() -> None:
    host = run().host.model_dump()
    for key in ("cpu_list", "page_bytes"):
        host.pop(key)
    older = Host.model_validate(host | {"cpus": 2})
    assert older.cpu_numbers == (0, 1)
    assert older.page_bytes == 4096


def test_a_host_numbers_its_cpus_as_its_kernel_does() -> None:
    restricted = run().host.model_copy(update={"cpus": 3, "cpu_list": "2-3,6"})
    assert restricted.cpu_numbers == (2, 3, 6)
