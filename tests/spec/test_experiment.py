"""Experiment files: the built-in ones, every kind of bad input, and the JSON Schema."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgbench.errors import ExperimentError
from cgbench.spec import emulated, experiment, experiment_file
from cgbench.spec.container import Container
from cgbench.spec.experiment import Experiment
from cgbench.spec.fields import LONGEST_HOLD
from cgbench.spec.precondition import Precondition
from cgbench.spec.schedule import planned
from cgbench.spec.step import Step
from tests.made.experiment_texts import GOOD, with_change, with_steps

relaxed = settings(deadline=None)

SCHEMA_FILE = Path(experiment.__file__).with_name("experiment.schema.json")
REGENERATE = (
    'python -c "import json; from cgbench.spec.experiment_file import json_schema;'
    f' print(json.dumps(json_schema(), indent=2))" > cgbench/spec/{SCHEMA_FILE.name}'
)


def with_hold(hold: str | int) -> Experiment:
    return experiment_file.parse(with_change('"2s"', json.dumps(hold)), "mine.toml")


def complaint(text: str) -> ExperimentError:
    with pytest.raises(ExperimentError) as caught:
        experiment_file.parse(text, "mine.toml")
    return caught.value


# Loading


@pytest.mark.parametrize("name", experiment_file.builtin_names())
def test_a_builtin_experiment_loads_under_its_own_name_and_fits_a_small_host(name: str) -> None:
    loaded = experiment_file.load(name)
    assert loaded.name == name
    assert len(planned(loaded, cpus=2, seed=1)) >= loaded.trials


def test_the_builtin_experiments_are_the_sweeps() -> None:
    assert {"cpu-quota-sweep", "cpu-period-sweep"} <= set(experiment_file.builtin_names())


def test_the_quota_sweep_goes_up_to_the_number_of_cpus_and_back_down() -> None:
    (plan, *_) = planned(experiment_file.load("cpu-quota-sweep"), cpus=1, seed=1)
    quotas = [step.settings["cpu-quota"] for step in plan.steps]
    assert quotas == [10000, 25000, 50000, 75000, 100000, 100000, 75000, 50000, 25000, 10000]
    (plan, *_) = planned(experiment_file.load("cpu-quota-sweep"), cpus=2, seed=1)
    assert max(int(step.settings["cpu-quota"]) for step in plan.steps) == 150000


def test_every_step_of_the_period_sweep_is_half_a_cpu() -> None:
    (plan, *_) = planned(experiment_file.load("cpu-period-sweep"), cpus=1, seed=1)
    for step in plan.steps:
        assert 2 * int(step.settings["cpu-quota"]) == int(step.settings["cpu-period"])
    assert [step.settings["cpu-period"] for step in plan.steps][-1] == 1_000_000


def test_a_file_loads_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    assert experiment_file.load(str(path)).name == "mine"


def test_what_a_file_leaves_out_has_its_default() -> None:
    mine = experiment_file.parse(GOOD, "mine.toml")
    assert (mine.trials, mine.warmup, mine.requires) == (5, 500_000_000, ())
    assert (mine.sampling.fast_hz, mine.sampling.slow_hz) == (1000, 10)
    assert mine.containers == (Container(role="worker", workload="spin"),)
    assert mine.containers[0].memory == 256 * 2**20


def test_sizes_durations_and_preconditions_are_read() -> None:
    text = with_change('workload = "spin"', 'workload = "spin"\nmemory = "64m"')
    mine = experiment_file.parse(f'requires = ["two-cpus"]\nwarmup = "1.5s"\n{text}', "mine.toml")
    assert mine.containers[0].memory == 64 * 2**20
    assert mine.warmup == 1_500_000_000
    assert mine.requires == (Precondition.TWO_CPUS,)


def test_steps_for_which_a_host_lacks_something_are_left_out_and_all_of_them_is_an_error() -> None:
    found = experiment_file.load("cpuset-mems")
    first, second = found.steps
    assert (first.needs, second.needs) == ((), (Precondition.TWO_NODES,))
    assert found.on({"two-nodes": True}) == found
    assert found.on({"two-nodes": False}).steps == found.on({}).steps == (first,)
    alone = found.model_copy(update={"steps": (second,)})
    with pytest.raises(ExperimentError, match="lacks what each of them needs: two-nodes"):
        alone.on({"two-nodes": False})


@given(st.integers(50_000_000, LONGEST_HOLD))
@relaxed
def test_an_experiment_survives_being_stored_to_the_nanosecond(hold_ns: int) -> None:
    mine = experiment_file.parse(GOOD, "mine.toml")
    mine = mine.model_copy(update={"steps": (Step(set={"cpus": 0.5}, hold=hold_ns),)})
    assert Experiment.model_validate_json(mine.model_dump_json()) == mine


@pytest.mark.parametrize("name", experiment_file.builtin_names())
def test_a_builtin_experiment_survives_being_stored(name: str) -> None:
    loaded = experiment_file.load(name)
    assert Experiment.model_validate(json.loads(loaded.model_dump_json())) == loaded


# Bad input


def test_an_unknown_name_names_the_nearest() -> None:
    with pytest.raises(ExperimentError, match="unknown experiment: cpu-quota-swep") as caught:
        experiment_file.load("cpu-quota-swep")
    assert caught.value.advice == "Did you mean cpu-quota-sweep?"


def test_a_name_like_no_other_lists_those_there_are() -> None:
    with pytest.raises(ExperimentError) as caught:
        experiment_file.load("xyz")
    assert caught.value.advice is not None
    assert "cpu-quota-sweep" in caught.value.advice


@pytest.mark.parametrize("name", ["absent.toml", "./absent", "some/where.toml"])
def test_an_absent_file_is_named(name: str) -> None:
    with pytest.raises(ExperimentError, match=r"cannot read .*No such file"):
        experiment_file.load(name)


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ExperimentError, match=r"cannot read .*mine\.toml"):
        experiment_file.load(str(path))


def test_broken_toml_names_the_line() -> None:
    error = complaint(with_change('role = "worker"', "role ="))
    assert error.message.startswith("mine.toml: ")
    assert "at line 7" in error.message


def test_an_empty_file_names_the_first_missing_key() -> None:
    assert complaint("").message == "mine.toml: name is missing"


@pytest.mark.parametrize(
    ("old", "new", "key", "nearest"),
    [
        ("title =", "titel =", "titel", "title"),
        ("workload =", "workloads =", "containers.1.workloads", "workload"),
        ("hold =", "hodl =", "steps.1.hodl", "hold"),
        ("[[steps]]", "[sampling]\nfast = 5\n[[steps]]", "sampling.fast", "fast_hz"),
        ("[[steps]]", "[quick]\ntrails = 5\n[[steps]]", "quick.trails", "trials"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest(
    old: str, new: str, key: str, nearest: str
) -> None:
    error = complaint(with_change(old, new))
    assert error.message == f"mine.toml: unknown key {key}"
    said, _, right = (error.advice or "").partition(" For example: ")
    assert said == f"Did you mean {nearest}?"
    assert right.startswith(f"{nearest} = ")


def test_an_unknown_key_like_no_other_is_to_be_removed() -> None:
    error = complaint(with_change("title =", "xyz = 1\ntitle ="))
    assert error.message == "mine.toml: unknown key xyz"
    assert (error.advice or "").startswith("Remove it. Keys there: name, title, question, ")


@pytest.mark.parametrize("key", ["name", "title", "question", "option"])
def test_a_missing_key_is_named(key: str) -> None:
    lines = [line for line in GOOD.splitlines() if not line.startswith(f"{key} =")]
    assert complaint("\n".join(lines)).message == f"mine.toml: {key} is missing"


WRONG = [
    # (old, new, the place that the message names, what it says besides)
    ('title = "Mine"', "title = 3", "title: ", "got 3"),
    ('title = "Mine"', 'title = ""', "title: ", "got ''"),
    ("title =", 'trials = "many"\ntitle =', "trials: ", "got 'many'"),
    ("title =", 'trials = "5"\ntitle =', "trials: ", "got '5'"),
    ("title =", "trials = true\ntitle =", "trials: ", "got True"),
    ("title =", "trials = 0\ntitle =", "trials: ", "got 0"),
    ("title =", 'warmup = "-1s"\ntitle =', "warmup: ", "negative"),
    ("title =", 'requires = ["three-cpus"]\ntitle =', "requires.1: ", "two-cpus"),
    ('name = "mine"', 'name = "My Own"', "name: ", "got 'My Own'"),
    ("[[steps]]", "[sampling]\nfast_hz = 1000\nslow_hz = 3\n[[steps]]", "sampling: ", "divide"),
    ("[[containers]]", "[containers]", "containers: ", "got {"),
    ('"spin"', '"spin"\nworkers = 0', "containers.1.workers: ", "got 0"),
    ('"spin"', '"spin"\nmemory = "1m"', "containers.1.memory: ", "got '1m'"),
    ('"spin"', '"spin"\nmemory = "lots"', "containers.1.memory: ", "not a size: 'lots'"),
    ('"spin"', '"spin"\noptions = {cpus = 0.001}', "containers.1: ", "--cpus 0.001 is below 0.01"),
    ('"spin"', '"spin"\noptions = {cpus = [1]}', "containers.1.options.cpus: ", "got [1]"),
    ('"spin"', '"spinn"', "containers.1: ", "unknown workload: spinn"),
    ('option = "cpu-quota"', 'option = "cpu-qouta"', "option: ", "unknown option: cpu-qouta"),
    ("{ cpu-quota", "{ cpu-qouta", "steps.1: ", "unknown option: cpu-qouta"),
    ("50000", "500", "steps.1: ", "--cpu-quota 500 is below 1000"),
    ("50000", "[50000, 500]", "steps.1: ", "--cpu-quota 500 is below 1000"),
    ("50000", "0.5", "steps.1: ", "--cpu-quota 0.5: not a whole number"),
    ("50000", '"lots"', "steps.1: ", "--cpu-quota lots"),
    ("50000", "{a = 1}", "steps.1.set.cpu-quota: ", "got {'a': 1}"),
    ("50000", "[[1]]", "steps.1.set.cpu-quota: ", "got [[1]]"),
    ("50000", "2026-11-24", "steps.1.set.cpu-quota: ", "a finite number, a text"),
    ("50000", "[]", "steps.1: ", "nothing in cpu-quota"),
    ("50000", "[1000, 2000], cpu-period = [5000]", "steps.1: ", "different lengths: cpu-p"),
    ("{ cpu-quota = 50000 }", "{}", "steps.1.set is empty", ""),
    ('"2s"', '"-2s"', "steps.1.hold: ", "got '-2s'"),
    ('"2s"', '"49ms"', "steps.1.hold: ", "at least 50ms"),
    ('"2s"', "2", "steps.1.hold: ", "got 2"),
    ('"2s"', "2.5", "steps.1.hold: ", "got 2.5"),
    ('"2s"', '"2 parsecs"', "steps.1.hold: ", "not a duration: '2 parsecs'"),
    ('"2s"', '"2s"\nvia = "magic"', "steps.1.via: ", "got 'magic'"),
    ('"2s"', '"2s"\nfit_host = "yes"', "steps.1.fit_host: ", "got 'yes'"),
    ('"2s"', '"2s"\nrole = "wroker"', "steps.1: ", "no container has the role wroker"),
    ('"2s"', '"2s"\nrepeat = 0', "steps.1.repeat: ", "got 0"),
    ('"2s"', '"2s"\nrewrite = "1us"', "steps.1.rewrite: ", "got '1us'"),
    ('"2s"', '"2s"\nmay_end = "yes"', "steps.1.may_end: ", "got 'yes'"),
]


@pytest.mark.parametrize(("old", "new", "place", "reason"), WRONG)
def test_a_wrong_value_gets_one_line_that_names_file_and_key(
    old: str, new: str, place: str, reason: str
) -> None:
    error = complaint(with_change(old, new))
    assert error.message.startswith(f"mine.toml: {place}")
    assert reason in error.message
    assert "\n" not in error.message


def test_what_is_unknown_is_refused_with_the_nearest_or_all_names() -> None:
    for old, new, advice in (
        ('"spin"', '"spinn"', "Did you mean spin? "),
        ("{ cpu-quota", "{ cpu-qouta", "Did you mean --cpu-quota? "),
        ('"2s"', '"2s"\nrole = "wroker"', "Roles: worker. "),
    ):
        assert (complaint(with_change(old, new)).advice or "").startswith(advice)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD[: GOOD.index("[[steps]]")], "mine.toml: steps is missing"),
        (f"steps = []\n{GOOD[: GOOD.index('[[steps]]')]}", "mine.toml: steps is empty"),
    ],
)
def test_an_empty_schedule_is_refused(text: str, message: str) -> None:
    assert complaint(text).message == message


def test_two_containers_may_not_have_one_role() -> None:
    twice = with_change(
        "[[steps]]", '[[containers]]\nrole = "worker"\nworkload = "spin"\n\n[[steps]]'
    )
    assert complaint(twice).message == "mine.toml: containers: two of them have the same role"


# Quick


def test_quick_takes_fewer_trials_and_shorter_holds() -> None:
    mine = experiment_file.load("cpu-quota-sweep")
    quick = mine.shortened()
    assert quick.trials == mine.quick.trials < mine.trials
    assert [step.hold for step in quick.steps] == [mine.quick.hold]


def test_quick_never_lengthens_a_hold() -> None:
    mine = with_hold("500ms")
    assert [step.hold for step in mine.shortened().steps] == [500_000_000]


def test_quick_leaves_room_for_four_of_a_steps_longest_periods() -> None:
    mine = with_steps('set = { cpu-period = [1000, 1000000] }\nhold = "10s"')
    assert [step.hold for step in mine.shortened().steps] == [4 * 10**9]


def test_an_emulated_cpu_gets_time_for_workloads_to_get_somewhere() -> None:
    mine, slowed = (
        experiment_file.load("restart-policy"),
        emulated.slowed(experiment_file.load("restart-policy")),
    )
    assert [one.pace for one in slowed.containers] == [4 * 10**9] * 2
    for before, after in zip(mine.steps, slowed.steps, strict=True):
        assert after.hold == before.hold * (1 if before.prepares else emulated.EMULATED_TIMES)


def test_an_emulated_cpu_lets_memory_grow_more_slowly() -> None:
    (before, _), (after, _) = (
        one.containers
        for one in (
            experiment_file.load("memory-limit-sweep"),
            emulated.slowed(experiment_file.load("memory-limit-sweep")),
        )
    )
    assert (before.pace, after.pace) == (10_000_000, 50_000_000)


def test_an_emulated_cpu_gives_workloads_that_are_there_at_once_no_more_time() -> None:
    mine = experiment_file.load("cpu-quota-sweep")
    slowed = emulated.slowed(mine)
    assert (slowed.containers, slowed.steps) == (mine.containers, mine.steps)


@pytest.mark.parametrize(
    ("asked", "read"),
    [((1000, 10), (100, 10)), ((2000, 8), (100, 4)), ((250, 50), (100, 50)), ((20, 5), (20, 5))],
)
def test_an_emulated_cpu_reads_files_a_hundred_times_a_second_at_most(
    asked: tuple[int, int], read: tuple[int, int]
) -> None:
    sampling = experiment.Sampling(fast_hz=asked[0], slow_hz=asked[1])
    mine = experiment_file.load("cpu-quota-sweep").model_copy(update={"sampling": sampling})
    found = emulated.slowed(mine).sampling
    assert (found.fast_hz, found.slow_hz) == read
    assert emulated.slowed(emulated.slowed(mine)) == emulated.slowed(mine)


def test_an_explanation_names_question_roles_and_every_step() -> None:
    mine = with_steps(
        'set = { cpu-quota = 20000 }\nhold = "1s"',
        'set = { cpu-quota = 30000 }\nhold = "2s"\nvia = "run"',
    )
    text = experiment_file.explain(mine, cpus=2)
    for part in (
        "mine: Mine",
        "What happens?",
        "worker: workload spin",
        "10 trials (5 of each of 2 lives), 15 s of hold times",
        "docker update --cpu-quota 20000 (worker), hold 1 s",
        "docker run --cpu-quota 30000 (worker), hold 2 s",
    ):
        assert part in text


# The JSON Schema


def schema() -> dict[str, Any]:
    stored: dict[str, Any] = json.loads(SCHEMA_FILE.read_text())
    return stored


def test_the_schema_file_is_in_step_with_the_models() -> None:
    current = json.dumps(experiment_file.json_schema(), indent=2) + "\n"
    assert SCHEMA_FILE.read_text() == current, f"run: {REGENERATE}"


def test_every_key_is_described_and_the_short_ones_have_an_example() -> None:
    models = [schema(), *schema()["$defs"].values()]
    keys = {name: key for one in models for name, key in one.get("properties", {}).items()}
    assert len(keys) > 40
    assert [name for name, key in keys.items() if not key.get("description")] == []
    assert {name for name, key in keys.items() if "examples" not in key} == {
        "sampling", "quick", "verify", "gate", "programs", "load", "report", "containers", "steps",
    }  # fmt: skip


def test_the_schema_is_a_valid_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.fixture(scope="module")
def by_the_schema() -> jsonschema.Draft202012Validator:
    assert schema()["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$id"]
    return jsonschema.Draft202012Validator(schema())


@pytest.mark.parametrize("name", experiment_file.builtin_names())
def test_a_builtin_experiment_is_valid_by_the_schema(
    name: str, by_the_schema: jsonschema.Draft202012Validator
) -> None:
    source = resources.files("cgbench") / "experiments" / f"{name}.toml"
    by_the_schema.validate(tomllib.loads(source.read_text()))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("title =", "titel ="),
        ("workload =", "workloads ="),
        ("title =", 'trials = "5"\ntitle ='),
        ("title =", "trials = true\ntitle ="),
        ("title =", "trials = 0\ntitle ="),
        ('"2s"', '"-2s"'),
        ('"2s"', "2"),
        ("{ cpu-quota = 50000 }", "{}"),
        ("50000", "{a = 1}"),
        ('"2s"', '"2s"\nvia = "magic"'),
    ],
)
def test_what_is_wrong_by_the_schema_is_wrong_for_cgbench_too(old: str, new: str) -> None:
    changed = with_change(old, new)
    assert not jsonschema.Draft202012Validator(schema()).is_valid(tomllib.loads(changed))
    complaint(changed)


def test_every_default_in_the_schema_is_valid_by_it() -> None:
    stored = schema()
    for owner in [stored, *stored["$defs"].values()]:
        for key, part in owner.get("properties", {}).items():
            if "default" in part:
                whole = {"$defs": stored["$defs"], **part}
                assert jsonschema.Draft202012Validator(whole).is_valid(part["default"]), key


def plain_objects(part: object) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        if "properties" in part:
            yield part
        for value in part.values():
            yield from plain_objects(value)


def test_the_schema_allows_no_unknown_key_anywhere() -> None:
    objects = list(plain_objects(schema()))
    assert len(objects) >= 5
    assert all(one["additionalProperties"] is False for one in objects)


VERIFIED = """
[verify]
options = ["cpu-quota"]
hold = "700ms"

[[verify.containers]]
role = "other"
workload = "spin"
workers = 4

[[verify.steps]]
set = { cpu-quota = [36500, 1500] }
hold = "2s"
"""


def verified(old: str = "", new: str = "") -> Experiment:
    return experiment_file.parse(GOOD + VERIFIED.replace(old, new), "mine.toml")


def test_verify_may_try_other_values_on_other_containers_than_the_sweep() -> None:
    loaded = verified()
    short = loaded.for_verify()
    assert [one.role for one in short.containers] == ["other"]
    (step,) = short.steps
    assert step.unrolled() == [{"cpu-quota": 36500}, {"cpu-quota": 1500}]
    assert step.hold == 700_000_000
    assert [one.role for one in loaded.containers] == ["worker"]
    assert loaded.steps[0].set == {"cpu-quota": 50000}
    assert short.for_verify() == short, "a stored run of it is judged as it was measured"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[36500, 1500]", "[36500, 15]", "verify: steps.1: --cpu-quota 15 is below 1000"),
        ('hold = "2s"', 'hold = "2s"\nrole = "worker"', "verify: steps.1: no container has"),
        ('role = "other"\nworkload = "spin"', 'role = "other"\nworkload = "spim"',
         "verify.containers.1: unknown workload"),
        ("workers = 4", "worker = 4", "unknown key verify.containers.1.worker"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_them_is_named_with_its_place(old: str, new: str, says: str) -> None:
    with pytest.raises(ExperimentError, match=re.escape(says)):
        verified(old, new)


def test_a_misspelt_key_of_theirs_gets_the_nearest_name() -> None:
    with pytest.raises(ExperimentError, match="Did you mean workers"):
        verified("workers = 4", "worker = 4")
