"""A program of one's own: its file, its load, and every slip named with the next move."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from cgbench.errors import CgbenchError, WorkloadError
from cgbench.spec import experiment_file, program_file, programs
from cgbench.spec.metrics import METRICS
from cgbench.spec.program import Load, Program
from cgbench.spec.toml_text import toml

WEB = """
image = "nginx"
[load]
url = "http://127.0.0.1:8080/"
rate = 100
"""
EXPERIMENT = """
name = "mine"
title = "Mine"
question = "What?"
option = "cpus"
[programs.web]
image = "nginx"
load = { url = "http://127.0.0.1:8080/", rate = 100 }
[[containers]]
role = "server"
workload = "web"
[[steps]]
set = { cpus = ["0.2", "0.5"] }
hold = "2s"
"""


def written(folder: Path, text: str, name: str = "web.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_five_lines_are_a_program_named_by_its_file(tmp_path: Path) -> None:
    name, found = program_file.load(written(tmp_path, WEB))
    assert (name, found.image, found.port) == ("web", "nginx", 8080)
    assert found.load is not None
    assert (found.load.pace_ns, found.load.timeout) == (10_000_000, 10**9)
    assert found.loosened == ()


def test_a_name_of_its_own_stands_before_the_files(tmp_path: Path) -> None:
    assert program_file.load(written(tmp_path, 'name = "shop"' + WEB))[0] == "shop"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no image is named"),
        (EXPERIMENT, "no image is named: it is the file of an experiment"),
        ('image = "nginx"\nname = "No Name"', "name: 'No Name' is no name of lower-case letters"),
        ('image = "NGINX"', "image: "),
        ('image = "nginx"\nimgae = 3', "imgae: "),
        ('image = "nginx"\nwritable = ["../x"]', "writable.0: should be an absolute path"),
        ('image = "nginx"\nlistens = 0', "listens: "),
        ('image = "nginx"\n[load]\nrate = 5', "load: a load is either a url"),
        ('image = "nginx"\n[load]\nurl = "http://x/"', "load: rate: how many requests"),
        ('image = "nginx"\n[load]\ncommand = ["x"]', "load: report: what of the command"),
        ('image = "x"\nnetwork = "none"\n[load]\nurl = "http://x/"\nrate = 1', "network: without"),
        ('image = "x"\n[report]\npattern = "rps=[0-9]+"', "report.pattern: should name a figure"),
        ('image = "x"\n[report]\npattern = "(?P<rps>.)"', "report.pattern: rps is no figure"),
        ('image = "x"\n[report]\npattern = "(?P<rate>"', "report.pattern: no regular expression"),
        ('image = "x"\n[report.keys]\nrps = "a"', "report.keys: rps is no figure; there are rate"),
        ('image = "x"\n[report]', "report: a report has either a pattern or keys"),
        ('image = "nginx"\n[load]\nurl = "http://x:80/"\nrate = 0', "load.rate: "),
        ('image = "nginx"\n[load]\nurl = "ftp://x/"\nrate = 1', "load.url: should be such as"),
        ('image = "nginx"\n[load]\nurl = "tcp://x"\nrate = 1', "load.url: should be such as"),
        ('image = "nginx"\n[load]\nurl = "http://x:99999/"\nrate = 1', "load.url: should be"),
        ('image = "nginx"\n[load]\nurl = "http://x/"\nsend = "a"\nrate = 1', "load: send: only"),
        ('image = "nginx"\n[files]\n"/x" = { path = "nosuch" }', "files: cannot read"),
        ('image = "nginx"\n[files]\n"x" = "text"', "files.x.[key]: should be an absolute path"),
        ("image = ", "Invalid value"),
    ],
)
def test_a_slip_is_named_with_its_file_and_key(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(WorkloadError) as caught:
        program_file.load(path)
    assert str(path) in caught.value.message
    assert said in caught.value.message
    assert caught.value.advice


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorkloadError, match=r"cannot read .*nosuch\.toml"):
        program_file.load(tmp_path / "nosuch.toml")


def test_a_file_beside_it_is_kept_as_its_text(tmp_path: Path) -> None:
    written(tmp_path, "listen 8080;", "nginx.conf")
    text = 'image = "nginx"\n[files]\n"/etc/nginx.conf" = { path = "nginx.conf" }\n"/b" = "c"'
    found = program_file.load(written(tmp_path, text))[1]
    assert found.files == {"/etc/nginx.conf": "listen 8080;", "/b": "c"}


def test_what_is_loosened_is_said_in_words() -> None:
    loose = Program(
        image="x", user="root", capabilities=("CHOWN",), read_only=False, writable=("/var/run",)
    )
    assert loose.loosened == (
        "runs as root", "keeps CHOWN", "may write to its root file system",
        "may write to /var/run, in memory",
    )  # fmt: skip
    assert Program(image="x", user="101:101").loosened == ("runs as 101:101",)


def test_a_program_gets_a_prober_in_its_experiment() -> None:
    found = experiment_file.parse(EXPERIMENT, "mine.toml")
    server, prober = found.containers
    assert (prober.role, prober.workload, prober.drives) == ("server-load", "prober", "server")
    assert programs.workload_of(found, server).probe == "request"
    load = programs.load_by(found, prober)
    assert load is not None
    assert load.rate == 100
    assert programs.load_by(found, server) is None
    # What is read again from a run has its prober already.
    assert programs.with_loads(found) == found
    assert type(found).model_validate(found.model_dump(mode="json")) == found


@pytest.mark.parametrize(
    ("more", "metrics"),
    [
        ({"load": {"url": "http://x/", "rate": 1}},
         ("latency_p50_ms", "latency_p99_ms", "failed_pct")),
        ({"load": {"command": ["a"], "report": {"keys": {"rate": "r", "max_ms": "m"}}}},
         ("reported_rate_per_s",)),
        ({"report": {"pattern": "(?P<duration_s>[0-9.]+) s"}}, ("reported_duration_s",)),
        ({"report": {"keys": {"max_ms": "m"}}}, ("reported_max_ms",)),
        ({"load": {"url": "http://x/", "rate": 1}, "report": {"keys": {"cpus": "n"}}},
         ("latency_p50_ms", "latency_p99_ms", "failed_pct", "reported_cpus")),
        ({}, ()),
    ],
)  # fmt: skip
def test_what_a_program_is_felt_by_is_what_it_and_its_clients_say(
    more: dict[str, object], metrics: tuple[str, ...]
) -> None:
    found = experiment_file.parse(EXPERIMENT, "mine.toml")
    program = Program.model_validate({"image": "nginx", **more})
    of_one = found.model_copy(update={"programs": {"web": program}})
    assert programs.felt_metrics(of_one) == metrics
    assert set(metrics) <= set(METRICS)
    assert programs.felt_metrics(of_one.model_copy(update={"programs": {}})) == ()


def test_a_program_may_stand_in_a_file_beside_the_experiment(tmp_path: Path) -> None:
    written(tmp_path, WEB)
    text = EXPERIMENT.replace(
        '[programs.web]\nimage = "nginx"\nload = { url = "http://127.0.0.1:8080/", rate = 100 }\n',
        '[programs]\nweb = "web.toml"\n',
    )
    found = experiment_file.load(str(written(tmp_path, text, "mine.toml")))
    assert found.programs["web"] == program_file.load(tmp_path / "web.toml")[1]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('workload = "web"', 'workload = "wbe"', "unknown workload: wbe"),
        (
            '[programs.web]\nimage = "nginx"',
            '[programs.spin]\nimage = "x"\n[programs.web]\nimage = "nginx"',
            "programs.spin: there is a built-in workload",
        ),
        ('workload = "web"', 'workload = "web"\nsize = "5m"', "are for built-in workloads"),
        ('workload = "web"', 'workload = "spin"', "programs.web: no container runs it"),
        ('workload = "web"', 'workload = "web"\ndrives = "x"', "a prober drives another container"),
        (
            "[[steps]]",
            '[[containers]]\nrole = "p"\nworkload = "prober"\ndrives = "no"\n[[steps]]',
            "drives: no container before it is called no",
        ),
        (
            "[[steps]]",
            '[[containers]]\nrole = "p"\nworkload = "prober"\n[[steps]]',
            "a prober drives another container",
        ),
        ("rate = 100", "rate = 0", "programs.web.load.rate"),
        ("rate = 100", "rat = 100", "unknown key programs.web.load.rat"),
        ('image = "nginx"\n', "", "programs.web.image is missing"),
        ('option = "cpus"', 'option = "cpus"\nimage = "x"', "unknown key image"),
    ],
)
def test_an_experiment_says_what_is_wrong_with_its_programs(
    before: str, after: str, said: str
) -> None:
    assert before in EXPERIMENT
    with pytest.raises(CgbenchError) as caught:
        experiment_file.parse(EXPERIMENT.replace(before, after, 1), "mine.toml")
    assert said in caught.value.message
    assert caught.value.advice


def test_a_line_that_is_right_is_shown_for_a_programs_key() -> None:
    with pytest.raises(CgbenchError, match="For example: url = "):
        experiment_file.parse(EXPERIMENT.replace("url = ", "ulr = ", 1), "mine.toml")


def test_a_load_is_only_what_the_prober_can_do() -> None:
    with pytest.raises(ValidationError):
        Load(url="http://x/", rate=10**6)
    assert Load(url="http://x/", rate=1).port == 80
    assert Load(url="tcp://x:6379", send="PING\\r\\n", rate=1).port == 6379
    assert toml({"a": 1})
