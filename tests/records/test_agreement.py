"""What must agree before runs are pooled or compared: every key once, for every use."""

from __future__ import annotations

import json

import pytest

from cgbench.records.agreement import (
    COMPARED,
    HOST_KEYS,
    KEYS,
    SHIFTING,
    apart,
    conditions,
    differing,
    identity,
    names,
    schedule_digest,
)
from cgbench.spec import experiment_file
from cgbench.units import NS_PER_S
from tests.made import records
from tests.made.records import HOST

OTHER = {"hostname": "other", "kernel": "6.18.0", "cpu_model": "y", "cpus": 64, "cgroup": "v2",
         "cgroup_driver": "systemd", "docker": "29.0", "runc": "1.9", "cgbench": "9.9",
         "engine": "podman", "runtime": "crun", "systemd": "257", "memory_nodes": 2}  # fmt: skip


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


def test_schedules_that_differ_are_told_by_what_only_one_of_them_says() -> None:
    """Met by a new user: two hashes stood where a period of 50 ms was meant."""
    one = records.run()
    spec = one.experiment
    steps = (spec.steps[0].model_copy(update={"hold": 7 * NS_PER_S}), *spec.steps[1:])
    other = one.model_copy(update={"experiment": spec.model_copy(update={"steps": steps})})
    before, after = conditions(one).described, conditions(other).described
    assert apart(before, after) == (
        f"steps.1.hold = {json.dumps(spec.steps[0].model_dump(mode='json')['hold'])}",
        f"steps.1.hold = {json.dumps(steps[0].model_dump(mode='json')['hold'])}",
    )
    assert apart(before, before[:-6]) == (
        f"{', '.join(before[-6:-2])}, and 2 more", "none of that",
    )  # fmt: skip


def test_schedules_of_an_older_cgbench_are_known_by_their_digest_alone() -> None:
    assert apart((), conditions(records.run()).described) is None


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


def test_a_host_of_an_older_run_is_comparable_although_it_lacks_the_newer_keys() -> None:
    old = records.run()
    lacking = dict.fromkeys(("engine", "runtime", "systemd", "io_control"))
    old = old.model_copy(update={"host": old.host.model_copy(update=lacking)})
    assert differing(conditions(old), conditions(records.run()), KEYS) == []


def test_what_shares_out_io_is_no_key_since_measuring_itself_may_load_it() -> None:
    one = records.run()
    other = one.model_copy(update={"host": one.host.model_copy(update={"io_control": "none"})})
    assert differing(conditions(one), conditions(other), KEYS) == []
