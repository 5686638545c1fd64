"""What must agree before runs are pooled or compared: every key once, for every use."""

from __future__ import annotations

import pytest

from cgbench.records.agreement import (
    COMPARED,
    HOST_KEYS,
    KEYS,
    SHIFTING,
    conditions,
    differing,
    identity,
    names,
    schedule_digest,
)
from cgbench.spec import experiment_file
from tests.made import records
from tests.made.records import HOST

OTHER = {"hostname": "other", "kernel": "6.18.0", "cpu_model": "y", "cpus": 64, "cgroup": "v2",
         "cgroup_driver": "systemd", "docker": "29.0", "runc": "1.9", "cgbench": "9.9"}  # fmt: skip


def test_names_of_keys_are_unique_and_none_is_forgotten_by_a_use() -> None:
    assert len(set(names(KEYS))) == len(KEYS)
    assert {key.name for key in KEYS if key.series} == {"experiment", "hostname", "cpu_model"}
    assert {*names(SHIFTING), "experiment", "hostname", "cpu_model"} == set(names(KEYS))
    assert names(COMPARED) == tuple(name for name in names(KEYS) if name != "cgbench")


@pytest.mark.parametrize("key", [*HOST_KEYS, KEYS[-1]], ids=lambda key: key.name)
def test_a_host_that_differs_in_one_key_differs_in_that_alone(key: object) -> None:
    one = records.run()
    name = key.name  # type: ignore[attr-defined]
    other = one.model_copy(update={"host": one.host.model_copy(update={name: OTHER[name]})})
    assert [found.name for found in differing(conditions(one), conditions(other), KEYS)] == [name]


def test_an_experiment_of_other_steps_and_another_image_differ() -> None:
    one = records.run()
    other = one.model_copy(update={"experiment": one.experiment.shortened(), "image": "other"})
    assert names(differing(conditions(one), conditions(other), KEYS)) == ("schedule", "image")


def test_images_of_one_tag_are_distinguished_by_their_packages_where_both_are_known() -> None:
    """Supply chain: two hosts with one tag had different programs, and `image` agreed."""
    old = records.run()
    one, other = (
        old.model_copy(update={"host": records.host(image_base=base, image_packages=text)})
        for base, text in (("sha256:a", "fio 3.33, all 90 packages 12"),
                           ("sha256:b", "fio 3.35, all 90 packages 34"))
    )  # fmt: skip
    assert names(differing(conditions(one), conditions(other), KEYS)) == ("image_packages",)
    assert differing(conditions(one), conditions(old), KEYS) == []
    assert differing(conditions(old), conditions(other), KEYS) == []


def test_the_digest_follows_the_schedule_and_not_the_title() -> None:
    one = experiment_file.load("cpu-quota-sweep")
    assert schedule_digest(one) == schedule_digest(
        one.model_copy(update={"title": "Another", "trials": 9})
    )
    assert schedule_digest(one) != schedule_digest(one.shortened())


def test_a_host_is_another_by_name_kernel_cgroup_or_docker_and_not_by_memory() -> None:
    for name in ("hostname", "kernel", "cgroup", "docker"):
        assert identity(HOST.model_copy(update={name: OTHER[name]})) != identity(HOST)
    assert identity(HOST.model_copy(update={"memory_bytes": 1})) == identity(HOST)
