"""Truth tables made without measuring anything, with every part that a page may show."""

from __future__ import annotations

from cgbench.records.idle_findings import (
    Attempt,
    BornVsChanged,
    Difference,
    Effect,
    Felt,
    Held,
    Interaction,
    Kind,
    Lifting,
    Meeting,
    Stage,
    State,
    StateFinding,
    Survival,
    When,
)
from cgbench.records.truth import Row, TruthTable
from cgbench.records.verdict import Declared, Enforced, Outcome, Point, TimeToEffect, Value, Verdict
from cgbench.spec.options import OPTIONS
from tests.made import records
from tests.made.records import RUN

HOSTILE = "<script>alert('&')</script>"
"""A text that must never become markup."""


def verdict(option: str, outcome: Outcome, *, error_pct: float = 0.5) -> Verdict:
    """Return a verdict with a point, a file, a warning and times."""
    return Verdict(
        option=option,
        verdict=outcome,
        reason=f"because of {HOSTILE}",
        advice=None if outcome is Outcome.EFFECTIVE else f"do `this` or {HOSTILE}",
        declared=Declared(accepted=2, refused=(), warnings=(f"beware of {HOSTILE}!",)),
        enforced={
            "memory.limit_in_bytes": Enforced(
                before="9223372036854771712", after="67108864", expected="67108864"
            )
        },
        experienced=(
            Point(
                requested="64m", metric="memory_max_bytes", unit="bytes", expected=67108864.0,
                value=67108864.0 * (1 + error_pct / 100), error_pct=error_pct,
                tolerance=524288.0, within=True,
            ),
        ),
        values=(
            Value(
                requested="64m", note=None, role="worker", verdict=outcome,
                reason=f"at 64m it was so because of {HOSTILE}",
            ),
        ),
        control="written past Docker: the kernel kept it",
        time_to_effect_ms=TimeToEffect(
            answer=15.0, enforced=12.0, experienced=50.0, answered_first=2
        ),
        evidence=(RUN,),
    )  # fmt: skip


def unseen(option: str, outcome: Outcome) -> Verdict:
    """Return a verdict with nothing behind it."""
    return verdict(option, outcome).model_copy(
        update={
            "advice": None,
            "declared": Declared(accepted=0, refused=(), warnings=()),
            "enforced": {},
            "experienced": (),
            "values": (),
            "control": None,
            "time_to_effect_ms": TimeToEffect(answer=None, enforced=None, experienced=None),
            "evidence": (),
        }
    )


def attempt(option: str, *, outcome: str = "accepted", changed: bool = True) -> Attempt:
    """Return one value tried at a bound, which lifted nothing."""
    changes = (Difference(layer="declared", where=HOSTILE, before="1", after=None),)
    return Attempt.model_validate(
        {
            "option": option, "kind": Kind.SMALLEST, "tried": "1", "sent": "{}", "how": "update",
            "documented": True, "outcome": outcome, "message": HOSTILE, "file": "cpu.shares",
            "before": "1024", "after": "2", "changes": changes if changed else (),
            "changed": changed, "running": True, "lifted": False,
        }
    )  # fmt: skip


def lifting(option: str, *, lifted: bool, message: str = "") -> Lifting:
    """Return a limit that Docker says it lifted."""
    unlimited = "9223372036854771712"
    return Lifting(
        option=option, limit="--memory 64m --memory-swap 384m", by="--memory-swap -1",
        sent='{"MemorySwap": -1}', outcome="accepted", message=message,
        file="memory.memsw.limit_in_bytes", before="402653184",
        after=unlimited if lifted else "402653184", asked=unlimited, declared="MemorySwap -1",
        declares=(unlimited,), lifted=lifted, right=lifted,
    )  # fmt: skip


def row(option: str, outcome: Outcome) -> Row:
    """Return a row with bounds, both births, and a lifting and a survival that failed."""
    held = Held(declared="1", enforced="1")
    return Row(
        verdict=verdict(option, outcome),
        bounds=(attempt(option), attempt(option, outcome="rejected")),
        born_vs_changed=(
            BornVsChanged(
                option=option, value="1", start="nothing", beside="", born_refusal=None,
                changed_refusal=None, same=False,
                differences=(
                    Difference(layer="enforced", where="cpu.shares", before="1", after="2"),
                ),
            ),
        ),
        survival=Survival(
            option=option, value="1", file="cpu.shares", born=held, refusal=None,
            stages=(
                Stage(stage="pause", before=held, after=held, survived=True, took_hold=False,
                      running=True, message=""),
                Stage(stage="restart", before=held, after=Held(declared="1", enforced=None),
                      survived=False, took_hold=False, running=False, message=HOSTILE),
            ),
        ),
        further_survival=(
            Survival(
                option=option, value="2", beside="--memory 64m", file="cpu.shares", born=held,
                refusal=None,
                stages=(
                    Stage(
                        stage="another update", before=held, after=held, survived=False,
                        took_hold=False, running=True, message="",
                        changes=(
                            Difference(
                                layer="enforced", where=HOSTILE, before="64", after="max"
                            ),
                        ),
                    ),
                ),
            ),
        ),
        states=(
            updated("created", "1", "2", in_force=When.START, option=option),
            StateFinding(option=option, state="paused", value="1", sent="1", missed=HOSTILE),
            updated("exited", "1", "2", in_force=When.START, message=HOSTILE, option=option),
        ),
        liftings=(lifting(option, lifted=False, message=HOSTILE),),
    )  # fmt: skip


def updated(
    state: State, *enforced: str, option: str = "cpu-shares", in_force: When | None = None,
    message: str = "", outcome: str = "accepted", declared: str = "2", undone: bool = False,
) -> StateFinding:  # fmt: skip
    """Return an update to 2 in a state, before which `declared` was 1; and a start after it.

    `enforced` are the texts of the file after the answer and after the start, None without one.
    """
    texts = (*enforced, None, None)
    return StateFinding.model_validate(
        {
            "option": option, "state": state, "value": "2", "sent": "2", "outcome": outcome,
            "message": message, "file": "cpu.shares" if enforced else None,
            "before": {"declared": "1", "enforced": None},
            "after": {"declared": declared, "enforced": texts[0]},
            "steps": ({"step": "start", "held": {"declared": declared, "enforced": texts[1]},
                       "running": texts[1] is not None, "message": ""},),
            "in_force": in_force, "undone": undone,
        }
    )  # fmt: skip


def effect(felt: Felt) -> Effect:
    """Return what a workload felt."""
    return Effect(
        felt=felt, reason=f"cpus_used was 2 CPUs of 0.3 CPUs because of {HOSTILE}",
        metric="cpus_used", unit="CPUs", before=0.3, during=1.1, after=2.0, expected_before=0.3,
        expected=0.3, tolerance=0.01, evidence=RUN,
    )  # fmt: skip


def meeting(a: str, b: str, outcome: Meeting, felt: Felt | None = None) -> Interaction:
    """Return one ordered pair."""
    changes = (Difference(layer="enforced", where="cpu.shares", before="1", after="2"),)
    return Interaction(
        a=a, b=b, a_value="1", b_value="2", outcome=outcome,
        message="" if outcome is Meeting.INDEPENDENT else HOSTILE,
        a_changes=changes if outcome is Meeting.DISTURBED else (), b_changes=(),
        effect=None if felt is None else effect(felt),
    )  # fmt: skip


def table(*outcomes: Outcome, bare: bool = False, hostname: str = "made-up") -> TruthTable:
    """Return a table whose options have the given verdicts in the registry's order.

    A `bare` one has nothing but verdicts; the others have one pair of each outcome, too.
    """
    rows = tuple(
        Row(verdict=unseen(option, outcome)) if bare else row(option, outcome)
        for option, outcome in zip(OPTIONS, outcomes, strict=False)
    )
    names = [one.verdict.option for one in rows]
    pairs = [(a, b) for a in names for b in names if a != b]
    met = tuple(
        meeting(a, b, outcome, felt)
        for (a, b), outcome, felt in zip(pairs, Meeting, Felt, strict=False)
    )  # fmt: skip
    return TruthTable(
        host=records.host(hostname=hostname),
        started="2026-01-01T00:00:00+00:00",
        elapsed_s=241.5,
        rows=rows,
        interactions=() if bare else met,
    )
