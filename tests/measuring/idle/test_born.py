"""Whether birth equals change, beside what `cat` and `docker inspect` say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cgbench.measuring.idle import born
from cgbench.measuring.idle.containers import Supply
from cgbench.spec.options import option, update_body
from tests.made.idle_supply import cat, inspected
from tests.made.idle_supply import supply as new_supply


@pytest.fixture(scope="module")
def supply() -> Iterator[Supply]:
    with new_supply() as supply:
        yield supply


@pytest.mark.docker
def test_a_quota_at_birth_is_the_same_as_a_quota_by_update(supply: Supply) -> None:
    found = born.born_vs_changed(option("cpu-quota"), supply)
    assert [each.start for each in found] == ["nothing", "another value"]
    for each in found:
        assert each.same is True
        assert each.differences == ()
        assert each.beside == ""


@pytest.mark.docker
def test_memory_at_birth_differs_from_memory_by_update_where_cat_says_so(supply: Supply) -> None:
    found = born.born_vs_changed(option("memory"), supply)[1]
    swap = ("memory.memsw.limit_in_bytes", "memory.swap.max")
    texts, fields = [], []
    for birth in ("64m", "96m"):
        with supply.born(update_body({"memory": birth})) as (_, idle):
            assert idle is not None
            supply.site.engine.update_raw(idle.container_id, update_body({"memory": "64m"}))
            texts.append(cat(idle.container_id, *swap))
            fields.append(inspected(idle.container_id, "MemorySwap"))
    pairs = {(each.before, each.after) for each in found.differences}
    assert (tuple(texts) in pairs) is (texts[0] != texts[1])
    assert (tuple(fields) in pairs) is (fields[0] != fields[1])
    assert found.same is (not found.differences)
