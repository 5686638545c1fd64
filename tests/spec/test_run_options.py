"""The limits that no update can set: what each accepts, asks for and expects in the kernel."""

from __future__ import annotations

import pytest

from cgbench.errors import ExperimentError, OptionError
from cgbench.spec import experiment_file
from cgbench.spec.option import DEVICE, Settings
from cgbench.spec.options import OPTIONS, birth_body, of_update, option
from cgbench.spec.run_options import RUN_OPTIONS

HEAD = """
name = "mine"
title = "Mine"
question = "What happens?"
option = "{name}"
device = "64m"
[[containers]]
role = "worker"
workload = "{workload}"
[[steps]]
set = {{ {name} = {value} }}
hold = "2s"
via = "{via}"
"""


def own(name: str, value: str, via: str, workload: str = "fio-randread") -> str:
    return HEAD.format(name=name, value=value, via=via, workload=workload)


def test_none_of_them_is_an_option_of_update() -> None:
    assert not RUN_OPTIONS.keys() & OPTIONS.keys()
    with pytest.raises(OptionError, match="docker update has no --device-read-bps"):
        of_update("device-read-bps")
    assert of_update("memory") is OPTIONS["memory"]


@pytest.mark.parametrize("name", RUN_OPTIONS)
def test_none_can_be_set_by_an_update_and_each_says_how_it_can(name: str) -> None:
    one = option(name)
    value = str(one.example) if isinstance(one.example, int) else f'"{one.example}"'
    with pytest.raises(ExperimentError) as caught:
        experiment_file.parse(own(name, value, "update"), "mine.toml")
    assert f"docker update has no --{name}" in caught.value.message
    assert caught.value.advice == f'For example: via = "{one.ways[0]}"'
    experiment_file.parse(own(name, value, one.ways[0]), "mine.toml")


def test_what_docker_run_does_not_have_either_is_written_to_the_file() -> None:
    with pytest.raises(ExperimentError, match="docker run has no --cpu-burst"):
        experiment_file.parse(own("cpu-burst", "10000", "run"), "mine.toml")


def test_a_limit_of_a_device_needs_a_workload_that_has_one() -> None:
    with pytest.raises(ExperimentError, match="workload spin uses none") as caught:
        experiment_file.parse(own("device-read-bps", '"4m"', "run", "spin"), "mine.toml")
    assert caught.value.advice == 'For example: workload = "fio-randread"'


def test_a_new_container_is_given_rates_of_its_device_and_other_limits_as_they_are() -> None:
    asked: Settings = {"device-read-bps": "4m", "device-write-iops": 64, "shm-size": "1m"}
    assert birth_body({**asked, "cpu-quota": 5000}, "/dev/loop3") == {
        "BlkioDeviceReadBps": [{"Path": "/dev/loop3", "Rate": 4 * 2**20}],
        "BlkioDeviceWriteIOps": [{"Path": "/dev/loop3", "Rate": 64}],
        "ShmSize": 2**20,
        "CpuQuota": 5000,
    }


@pytest.mark.parametrize(
    ("version", "asked", "text"),
    [
        (1, {"device-read-bps": "4m"}, "7:3 4194304"),
        (2, {"device-read-bps": "4m"}, "7:3 rbps=4194304 wbps=max riops=max wiops=max"),
        (
            2,
            {"device-read-bps": "4m", "device-write-iops": 9},
            "7:3 rbps=4194304 wbps=max riops=max wiops=9",
        ),
    ],
)
def test_the_file_of_a_device_names_it_by_its_number(
    version: int, asked: Settings, text: str
) -> None:
    (file,) = option("device-read-bps").interfaces(version)
    assert file.expected({**asked, DEVICE: "7:3"}) == text
    assert file.expected(asked) is None, "no device, no line"


def test_nothing_is_expected_of_a_device_that_nothing_limits() -> None:
    for version in (1, 2):
        (file,) = option("device-read-bps").interfaces(version)
        assert file.expected({DEVICE: "7:3", "memory": "64m"}) is None


@pytest.mark.parametrize(("name", "value"), [("device-read-bps", 0), ("memory-swappiness", 101),
                                             ("shm-size", "1b"), ("cpu-burst", -1)])  # fmt: skip
def test_a_value_that_the_kernel_would_take_for_something_else_is_refused(
    name: str, value: int | str
) -> None:
    with pytest.raises(OptionError):
        option(name).check(value)


# Files in memory

SHARING = """
name = "mine"
title = "Mine"
question = "What happens?"
option = "memory"
[[containers]]
role = "maker"
workload = "leave"
size = "8m"
{maker}
[[containers]]
role = "guest"
workload = "shared"
size = "8m"
{guest}
[[steps]]
set = {{ memory = "32m" }}
hold = "2s"
"""


def test_a_guest_of_a_shm_is_charged_for_none_of_it() -> None:
    found = experiment_file.parse(SHARING.format(maker="", guest='shares = "maker"'), "mine.toml")
    assert [one.charged for one in found.containers] == [8 * 2**20, 0]


@pytest.mark.parametrize(
    ("maker", "guest", "place"),
    [
        ("", 'shares = "guest"', "containers.2"),
        ("", 'shares = "nobody"', "containers.2"),
        ('shares = "guest"', "", "containers.1"),
    ],
)
def test_a_shm_is_shared_with_a_container_that_comes_before(
    maker: str, guest: str, place: str
) -> None:
    with pytest.raises(ExperimentError, match=f"{place}: no container before it has a /dev/shm"):
        experiment_file.parse(SHARING.format(maker=maker, guest=guest), "mine.toml")


def test_a_guest_has_nothing_to_share_but_its_hosts_shm() -> None:
    text = SHARING.format(maker="", guest='shares = "maker"').replace(
        "[[steps]]",
        '[[containers]]\nrole = "third"\nworkload = "shared"\nshares = "guest"\n[[steps]]',
    )
    with pytest.raises(ExperimentError) as caught:
        experiment_file.parse(text, "mine.toml")
    assert caught.value.advice is not None
    assert caught.value.advice.endswith('shares = "maker"')


@pytest.mark.parametrize(
    ("wrong", "right", "words"),
    [
        ('"shared"', '"cache"', "workload cache of guest uses no file in /dev/shm"),
        ('"leave"', '"spin"', "workload spin of maker uses no file in /dev/shm"),
        ('size = "8m"', 'size = "4m"', "8 MiB is more than maker makes"),
    ],
)
def test_a_guest_makes_no_file_that_it_should_only_share(
    wrong: str, right: str, words: str
) -> None:
    text = SHARING.format(maker="", guest='shares = "maker"').replace(wrong, right, 1)
    with pytest.raises(ExperimentError, match=words):
        experiment_file.parse(text, "mine.toml")
