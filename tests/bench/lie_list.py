"""Every way in which a daemon spoils updates here, with what must be said of it, stated by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cgbench.records.verdict import Outcome
from tests.bench import lie_answers as lie
from tests.bench.lie_answers import Answering, Answers, Liar
from tests.bench.short_options import Short
from tests.bench.spoiled import Expected, Kind, must
from tests.made.relay import Reply, warned

EFFECTIVE, IMPRECISE, PARTIAL = Outcome.EFFECTIVE, Outcome.IMPRECISE, Outcome.PARTIAL
WRONG, IGNORED, REVERTED = Outcome.WRONG, Outcome.IGNORED, Outcome.REVERTED
DISCARDED, REJECTED, INCONCLUSIVE = Outcome.DISCARDED, Outcome.REJECTED, Outcome.INCONCLUSIVE

Says = Expected | Callable[[Short], Expected]
Unmet = Callable[[Short], str | None]


def _honest(short: Short) -> Expected:
    """What is in force in the end is what was asked for."""
    return must(short.honest)


def _nearly(short: Short) -> Expected:
    """The kernel nearly holds it; where the workload follows nothing, that is what counts."""
    if short.name == "pids-limit":
        # Tasks are exact: no other number of them is nearly right.
        return must(WRONG)
    return must(IMPRECISE if short.honest is EFFECTIVE else WRONG)


def _some_refused(short: Short) -> Expected:
    return must(PARTIAL if short.honest is EFFECTIVE else WRONG)


def _undone(short: Short) -> Expected:
    """Docker's record is read before, after and at the end: what is undone at once leaves none."""
    return must(REVERTED) if short.in_kernel else must(REVERTED, IGNORED)


def _undone_unseen(short: Short) -> Expected:
    return must(REVERTED) if short.in_kernel else must(IGNORED)


def _by_the_kernel(short: Short) -> Expected:
    """What inspect says is no proof. Of a policy only restarts are: there, one too many."""
    return must(IGNORED) if short.in_kernel else must(WRONG)


def _rounded_up(short: Short) -> Expected:
    """Of the values only 0.365 CPUs and 36500 µs lie off the grid, by 1.4 %."""
    return must(EFFECTIVE) if short.name == "cpu-period" else must(IMPRECISE)


def _power_of_two(short: Short) -> Expected:
    """Shares of 512 and 256 are such; of all other options some value is more than 10 % off."""
    return must(EFFECTIVE) if short.name == "cpu-shares" else must(WRONG)


def _lifted(short: Short) -> Expected:
    """This daemon keeps a swap of -1 to itself, so that nothing reaches the kernel."""
    return must(IGNORED) if short.name == "memory-swap" else must(WRONG)


def _any(_short: Short) -> str | None:
    return None


def _in_force(short: Short) -> str | None:
    return short.unable


def _quantity(short: Short) -> str | None:
    nearly = f"its values are {short.holds}: none is nearly another"
    return short.unable or (None if short.holds == "a quantity" else nearly)


def _cpu_time(short: Short) -> str | None:
    found = short.name in ("cpus", "cpu-quota", "cpu-period")
    return None if found else "systemd rounds CPU time alone"


def _bytes(short: Short) -> str | None:
    return short.unable or (None if short.option.unit == "bytes" else "it is no size in bytes")


def _liftable(short: Short) -> str | None:
    return short.unable or (None if short.option.lifted is not None else "no value lifts it")


def _looked_at_once(short: Short) -> str | None:
    policy = "a policy is looked at when the container ends, and not before"
    return short.unable or (None if short.in_kernel else policy)


def _keeps_its_files(short: Short) -> str | None:
    restarted = "a container that is started again gets new files with all its limits"
    return short.unable or (None if short.in_kernel else restarted)


def _goes_elsewhere(short: Short) -> str | None:
    """Say why another container cannot get an option's values."""
    if short.name == "memory-swap":
        return "the kernel refuses another container less memory and swap than it has memory"
    return _keeps_its_files(short)


def _several(short: Short) -> str | None:
    alone = "each life of its container gets one update"
    return short.unable or (alone if short.name in ("restart", "memory-swap") else None)


def _two_keys(short: Short) -> str | None:
    return short.unable or (None if short.beside else "its updates have one key")


def _only(*names: str, why: str) -> Unmet:
    return lambda short: None if short.name in names else why


def _discards(short: Short) -> str | None:
    return short.unable if short.name == "cpuset-mems" else None


@dataclass(frozen=True)
class _Each:
    """How each option's updates are answered, where that differs."""

    answers: Callable[[Short], Answers]


def _kind(
    name: str,
    does: str,
    answers: Answers | _Each,
    expected: Says,
    unmet: Unmet = _in_force,
    *,
    says: Answering = lie.as_it_is,
    hides: str = "",
    attended: bool = False,
) -> Kind:
    def spoiler(short: Short) -> Liar:
        made = answers.answers(short) if isinstance(answers, _Each) else answers
        return Liar(made, says, hides)

    stated = expected if callable(expected) else lambda _short: expected
    return Kind(name, does, spoiler, stated, unmet, attended=attended)


def _phase_s(short: Short) -> float:
    return short.experiment.steps[0].hold / 1e9


_SAME = "the length of the delay is all that differs: once for a quota, once for tasks"
_DELAYS = _only("cpu-quota", "pids-limit", why=_SAME)

KINDS: tuple[Kind, ...] = (
    _kind("honest", "passes everything on", lie.honest, _honest),
    _kind("dropped", "answers ok and does nothing", lie.dropped, must(IGNORED)),
    _kind("late", "answers ok and applies it 600 ms later", lie.late(0.6), _honest),
    _kind("after its phase", "answers ok and applies it 300 ms after the next one was asked for",
          lie.overdue, must(WRONG, says="after its phase"), _several),
    _kind("answered late", "applies it and answers 600 ms later", lie.answered_late(0.6), _honest),
    *(_kind(f"answered {ms} ms late", f"applies it and answers {ms} ms later",
            lie.answered_late(ms / 1000), _honest, _DELAYS) for ms in (50, 200, 3000)),
    _kind("held back", "applies and answers it 600 ms later", lie.held_back(0.6), _honest),
    _kind("halved", "applies half of it, or another CPU or policy", lie.instead(lie.other),
          must(WRONG)),
    _kind("doubled", "applies twice as much", lie.scaled(2), must(WRONG), _quantity),
    _kind("× 1.12", "applies 12 % more", lie.scaled(1.12), must(WRONG), _quantity),
    _kind("× 0.88", "applies 12 % less", lie.scaled(0.88), must(WRONG), _quantity),
    _kind("× 1.03", "applies 3 % more", lie.scaled(1.03), _nearly, _quantity),
    _kind("× 0.97", "applies 3 % less", lie.scaled(0.97), _nearly, _quantity),
    _kind("power of two", "rounds down to a power of two", lie.instead(lie.to_power_of_two),
          _power_of_two, _quantity),
    _kind("as systemd", "rounds up to 1 % of a CPU", lie.instead(lie.as_systemd), _rounded_up,
          _cpu_time),
    _kind("MB for MiB", "takes binary units for decimal ones", lie.instead(lie.in_thousands),
          _nearly, _bytes),
    _kind("unlimited", "lifts the limit", lie.instead(lie.unlimited), _lifted, _liftable),
    _kind("undone before", "undoes it before it answers", lie.undone_before_the_answer,
          _undone_unseen),
    _kind("undone at once", "undoes it as soon as it has answered", lie.undone(0.0), _undone),
    _kind("undone", "undoes it in mid-phase", _Each(lambda short: lie.undone(_phase_s(short) / 2)),
          must(REVERTED)),
    _kind("twice", "undoes it in the phase and applies it again",
          _Each(lambda short: lie.undone(0.3 * _phase_s(short), 0.6 * _phase_s(short))),
          must(REVERTED, says="came back"), _looked_at_once),
    _kind("flapping", "undoes it and applies it again all the time",
          lie.undone(*(0.1 * at for at in range(1, 30))), must(REVERTED), _looked_at_once),
    _kind("every second", "drops every second one", lie.every_second(lie.dropped), must(WRONG)),
    _kind("every second refused", "refuses every second one", lie.every_second(lie.refused),
          _some_refused),
    _kind("one behind", "applies what was asked for the time before", lie.one_behind,
          must(WRONG), _several),
    _kind("refused", "refuses it", lie.refused, must(REJECTED), _any),
    _kind("refused in HTML", "refuses it in something else than JSON", lie.refused_in_no_json,
          must(REJECTED), _any),
    _kind("refused, applied", "refuses it and applies it", lie.refused_and_applied(),
          must(REJECTED, fails=True)),
    _kind("refused, soon applied", "refuses it and applies it 100 ms later",
          lie.refused_and_applied(0.1), must(REJECTED, fails=True)),
    _kind("refused, late applied", "refuses it and applies it 600 ms later",
          lie.refused_and_applied(0.6), must(REJECTED, fails=True)),
    _kind("warned, applied", "warns and applies it", lie.applied(warned(lie.WARNING)), _honest),
    _kind("warned, dropped", "warns and does nothing", lie.warned_and_dropped, must(DISCARDED),
          _discards),
    _kind("odd warnings", "warns in a text and no list", lie.applied(
        Reply(body=b'{"Warnings": "all is well"}')), _honest),
    _kind("empty answer", "applies it and answers 204", lie.applied(Reply(204, b"")), _honest),
    _kind("besides", "changes another option, too", _Each(lie.besides),
          must(WRONG, says="nobody asked"), _keeps_its_files),
    _kind("refused, besides", "refuses it, and changes another option",
          _Each(lambda short: lie.besides(short, refuse=True)), must(REJECTED, fails=True),
          _keeps_its_files),
    _kind("elsewhere", "applies it to another container", lie.elsewhere(also_here=False),
          must(WRONG, says="nobody asked"), _goes_elsewhere, attended=True),
    _kind("elsewhere, too", "applies it to another container as well",
          lie.elsewhere(also_here=True), must(WRONG, says="nobody asked"), _goes_elsewhere,
          attended=True),
    _kind("one key", "applies one of two keys", lie.without("MemorySwap", "CpuQuota"),
          must(WRONG), _two_keys),
    _kind("other key", "applies the other one of two keys", lie.without("CpuPeriod"),
          must(WRONG), _only("cpu-period", why="its other key alone would be refused")),
    _kind("dropped, declared", "does nothing, and inspect says what was asked for", lie.dropped,
          _by_the_kernel, says=lie.as_asked),
    _kind("halved, declared", "applies half, and inspect says what was asked for",
          lie.instead(lie.other), must(WRONG), says=lie.as_asked),
    _kind("declared otherwise", "applies it, and inspect says something else", lie.honest,
          must(WRONG, says="inspect"), says=lie.otherwise),
    _kind("keeps restarts secret", "does nothing, declares it, and hides that containers start",
          lie.dropped, must(INCONCLUSIVE, says="cannot be relied on"),
          _only("restart", why="containers that do not end are not started again"),
          says=lie.as_asked, hides="start"),
    _kind("no JSON", "answers something else than JSON", lie.told(Reply(body=b"all is well")),
          must(INCONCLUSIVE, says="no JSON object"), _any),
    _kind("a list", "answers JSON that is no object", lie.told(Reply(body=b"[1, 2]")),
          must(INCONCLUSIVE, says="no JSON object"), _any),
    _kind("hangs up", "closes the connection without an answer", lie.told(Reply(hang_up=True)),
          must(INCONCLUSIVE, says="does not answer"), _any),
    _kind("applies, hangs up", "applies it and closes the connection",
          lie.applied(Reply(hang_up=True)), must(INCONCLUSIVE, says="does not answer"), _any),
    _kind("silent", "gives no answer for 30 s", lie.silent(32.0),
          must(INCONCLUSIVE, says="did not answer within"),
          _only("cpu-quota", why="what is asked for makes no difference")),
    _kind("kills", "applies it and kills the container", lie.ordered("kill"),
          must(INCONCLUSIVE, says="killed"), _looked_at_once),
    _kind("restarts", "applies it and restarts the container", lie.ordered("restart?t=0"),
          must(INCONCLUSIVE, says="fail|no workload"), _looked_at_once),
    _kind("pauses", "applies it and pauses the container", lie.ordered("pause"),
          must(INCONCLUSIVE, says="paused"), _looked_at_once),
)  # fmt: skip
"""All kinds, by what they do to an update."""
