"""One or many entries of an experiment's schedule, as its file states them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from cgbench.errors import ExperimentError
from cgbench.spec.fields import (
    Duration,
    Hold,
    Name,
    Scheduler,
    Via,
    Whole,
    bare_names,
    says,
    short_enough,
    shown_as_it_is,
)
from cgbench.spec.model import Model
from cgbench.spec.option import Value
from cgbench.spec.options import KNOWN, option
from cgbench.spec.precondition import Precondition
from cgbench.spec.toml_text import toml


class Step(Model):
    """One or many entries of the schedule."""

    set: Annotated[
        Mapping[str, Value | tuple[Value, ...]],
        Field(min_length=1),
        AfterValidator(bare_names),
        says(
            "Options and their values. Where a value is a list, the step stands for as many steps "
            "as the list is long, and every other list in it must be as long.",
            {"cpu-quota": [20000, 50000]},
        ),
    ]
    hold: Annotated[Hold, says("How long each value is held and measured.", "6s")]
    via: Annotated[
        Via,
        says(
            "How it is set: by `docker update`, by `docker run` on new containers, or written to "
            "the kernel's file past Docker.",
            "run",
        ),
    ] = "update"
    role: Annotated[
        Name | None, says("Whose options are set; without it the first container's.", "worker")
    ] = None
    needs: Annotated[
        tuple[Precondition, ...],
        says("What a host must have for it to be made; elsewhere it is left out.", ["two-nodes"]),
    ] = ()
    fit_host: Annotated[
        bool,
        Field(strict=True),
        says("Leave out values that ask for more CPUs than there are: else an error.", True),
    ] = False
    repeat: Annotated[
        Whole, Field(ge=1, le=1000), says("How many times the lists are walked.", 2)
    ] = 1
    rewrite: Annotated[
        Annotated[Duration, Field(ge=1_000_000), AfterValidator(short_enough)] | None,
        says("Make the same change again and again at this pace while it is held.", "100ms"),
    ] = None
    settle: Annotated[
        Annotated[Duration, Field(ge=1_000_000), AfterValidator(short_enough)] | None,
        says("How long after it no steady figure counts; half of `hold` counts at least.", "3s"),
    ] = None
    may_end: Annotated[
        bool,
        Field(strict=True),
        says("A container may end meanwhile: that is then a result and not a failure.", True),
    ] = False
    prepares: Annotated[
        bool, Field(strict=True), says("It only prepares the next, and is no evidence.", True)
    ] = False
    note: Annotated[
        Annotated[str, Field(max_length=40), AfterValidator(shown_as_it_is)] | None,
        says("What distinguishes it from other steps with the same value.", "one worker"),
    ] = None
    scheduler: Annotated[
        Scheduler | None, says("The I/O scheduler that the scratch device gets first.", "bfq")
    ] = None

    @property
    def changes(self) -> int:
        """How many entries of the schedule it stands for."""
        lists = [len(value) for value in self.set.values() if isinstance(value, tuple)]
        return max(lists, default=1) * self.repeat

    def unrolled(self) -> list[dict[str, Value]]:
        """Return one mapping of option to value for each step that this one stands for."""
        lists = {name: value for name, value in self.set.items() if isinstance(value, tuple)}
        lengths = {len(values) for values in lists.values()}
        if len(lengths) > 1:
            alike = {name: values[: min(lengths)] for name, values in lists.items()}
            raise ExperimentError(
                f"set: lists of different lengths: {', '.join(sorted(lists))}",
                "Lists in one step are walked together; make them equally long. "
                f"For example: set = {toml(alike)}",
            )
        if lengths == {0}:
            first = min(lists)
            right = {first: [option(first).example]} if first in KNOWN else {}
            raise ExperimentError(
                f"set: nothing in {', '.join(sorted(lists))}",
                f"Add a value. For example: set = {toml(right)}",
            )
        length = lengths.pop() if lengths else 1
        return [
            {
                name: value[index] if isinstance(value, tuple) else value
                for name, value in self.set.items()
            }
            for index in range(length)
        ] * self.repeat
