"""How a daemon that lies answers an update, and what it really does of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cgbench.spec.options import OPTIONS
from tests.bench.short_options import Short
from tests.made.relay import OK, Document, Relay, Reply, Spoiler, Update, Values, refusal, warned

Answers = Callable[[Update], Reply]
Answering = Callable[[Relay, str, Document], Document]
"""Returns what is said of a container, from what the daemon says."""

NO = "the daemon said no"
WARNING = "Your kernel does not support this. Value discarded."
_OTHER_SETS = {"0": "1", "1": "0", "0-1": "0"}
_OTHER_POLICIES = {"no": {"Name": "always", "MaximumRetryCount": 0}}
_PERIOD_US = 100_000
_FIELDS = {one.field for one in OPTIONS.values()}


@dataclass
class Liar(Spoiler):
    """A spoiler that answers each update as a function does, and questions as another does.

    Of the events of the kind that it `hides` only the first is known of each container.
    """

    answers: Answers
    says: Answering
    hides: str
    _begun: set[str] = field(default_factory=set)

    def hears(self, event: Document) -> bool:
        """Keep to itself that a container was started again."""
        if not self.hides or event.get("Action") != self.hides:
            return True
        container = str(event["id"])
        again = container in self._begun
        self._begun.add(container)
        return not again

    def update(self, update: Update) -> Reply:
        """Answer as the function does."""
        return self.answers(update)

    def inspected(self, relay: Relay, container: str, document: Document) -> Document:
        """Say what the function says."""
        return self.says(relay, container, document)


def quantities(body: Values, change: Callable[[str, int], int]) -> Document:
    """Return an update with all quantities changed."""
    return {key: change(key, value) if isinstance(value, int) else value
            for key, value in body.items()}  # fmt: skip


def scaled(factor: float) -> Answers:
    """Apply so many times what was asked for, and answer ok."""
    return instead(lambda body: quantities(body, lambda _key, value: round(value * factor)))


def instead(of: Callable[[Values], Values]) -> Answers:
    """Apply something else, and answer ok."""

    def answer(update: Update) -> Reply:
        update.surely(of(update.body))
        return OK

    return answer


def other(body: Values) -> Document:
    """Return an update to other values: half of each quantity, another CPU, another policy."""
    changed = quantities(body, lambda _key, value: value // 2)
    for key, value in body.items():
        if isinstance(value, str):
            changed[key] = _OTHER_SETS[value]
        elif isinstance(value, Mapping):
            changed[key] = _OTHER_POLICIES.get(value["Name"], {"Name": "no"})
    return changed


def to_power_of_two(body: Values) -> Document:
    """Round all quantities down to a power of two."""
    return quantities(body, lambda _key, value: 1 << (value.bit_length() - 1))


def as_systemd(body: Values) -> Document:
    """Round CPU time up to 1 % of a CPU, as systemd does."""
    period = body.get("CpuPeriod", _PERIOD_US)
    assert isinstance(period, int)
    steps = {"NanoCpus": 10_000_000, "CpuQuota": period // 100}
    return quantities(body, lambda key, value: -(-value // steps.get(key, 1)) * steps.get(key, 1))


def in_thousands(body: Values) -> Document:
    """Take binary units for decimal ones."""
    return quantities(body, lambda _key, value: value * 1000**2 // 1024**2)


def unlimited(body: Values) -> Document:
    """Lift every limit."""
    return quantities(body, lambda _key, _value: -1)


def honest(update: Update) -> Reply:
    """Pass the request on."""
    return update.apply()


def dropped(_update: Update) -> Reply:
    """Do nothing, and answer ok."""
    return OK


def late(after_s: float) -> Answers:
    """Answer ok at once, and apply it some time later."""

    def answer(update: Update) -> Reply:
        update.later(after_s, update.surely)
        return OK

    return answer


def answered_late(after_s: float) -> Answers:
    """Apply it at once, and answer some time later."""

    def answer(update: Update) -> Reply:
        reply = update.apply()
        update.relay.pause(after_s)
        return reply

    return answer


def held_back(for_s: float) -> Answers:
    """Apply and answer it some time later."""

    def answer(update: Update) -> Reply:
        update.relay.pause(for_s)
        return update.apply()

    return answer


def undone(*after_s: float) -> Answers:
    """Apply it and answer ok; undo it some time later, do it again at the next time, and so on."""

    def answer(update: Update) -> Reply:
        update.surely()
        for at, one in enumerate(after_s):
            body = update.body if at % 2 else update.before
            update.later(one, lambda body=body: update.surely(body))  # type: ignore[misc]
        return OK

    return answer


def undone_before_the_answer(update: Update) -> Reply:
    """Apply it, undo it, and answer ok then."""
    update.surely()
    update.surely(update.before)
    return OK


def every_second(answers: Answers) -> Answers:
    """Pass the first update on and answer the next otherwise, and so on."""
    return lambda update: update.apply() if update.number % 2 else answers(update)


def refused(update: Update) -> Reply:
    """Refuse it."""
    return refusal(500, NO)


def refused_in_no_json(update: Update) -> Reply:
    """Refuse it in something that is no JSON."""
    return Reply(503, b"<html>overloaded</html>")


def refused_and_applied(after_s: float | None = None) -> Answers:
    """Refuse it and apply it all the same, at once or some time later."""

    def answer(update: Update) -> Reply:
        if after_s is None:
            update.surely()
        else:
            update.later(after_s, update.surely)
        return refusal(500, NO)

    return answer


def applied(reply: Reply) -> Answers:
    """Apply it, and give this answer."""

    def answer(update: Update) -> Reply:
        update.surely()
        return reply

    return answer


def warned_and_dropped(update: Update) -> Reply:
    """Do nothing, and warn of that."""
    return warned(WARNING)


def besides(short: Short, *, refuse: bool = False) -> Answers:
    """Apply it, or refuse it, and change another option of the container as well."""
    more = {"CpuShares": 700} if short.name == "pids-limit" else {"PidsLimit": 200}

    def answer(update: Update) -> Reply:
        if not refuse:
            update.surely()
        update.surely(more)
        return refusal(500, NO) if refuse else OK

    return answer


def elsewhere(*, also_here: bool) -> Answers:
    """Apply it to another container of the run, and answer ok."""

    def answer(update: Update) -> Reply:
        if also_here:
            update.surely()
        another = next(one for one in update.relay.containers if one != update.container)
        update.surely(container=another)
        return OK

    return answer


def without(*fields: str) -> Answers:
    """Leave keys out of an update, and answer ok."""
    return instead(lambda body: {key: value for key, value in body.items() if key not in fields})


def one_behind(update: Update) -> Reply:
    """Apply what was asked for the time before, and answer ok."""
    earlier = update.relay.updates[: update.number - 1]
    if earlier:
        update.surely(earlier[-1].body)
    return OK


def overdue(update: Update) -> Reply:
    """Answer ok, and apply it 300 ms after the next one was asked for."""
    earlier = update.relay.updates[: update.number - 1]
    if earlier:
        update.later(0.3, lambda: update.surely(earlier[-1].body))
    return OK


def told(reply: Reply) -> Answers:
    """Do nothing, and give this answer."""
    return lambda _update: reply


def silent(for_s: float) -> Answers:
    """Give no answer for some time."""

    def answer(update: Update) -> Reply:
        update.relay.pause(for_s)
        return Reply(hang_up=True)

    return answer


def ordered(what: str) -> Answers:
    """Apply it, and do something to the container as well that others can order."""

    def answer(update: Update) -> Reply:
        reply = update.apply()
        done = update.relay.docker.ask("POST", f"/containers/{update.container}/{what}")
        # 409: it is so already.
        assert done.ok or done.status == 409, done
        return reply

    return answer


def as_it_is(_relay: Relay, _container: str, said: Document) -> Document:
    """Say what the daemon says."""
    return said


def as_asked(relay: Relay, container: str, said: Document) -> Document:
    """Say that a container has all that was ever asked for."""
    asked: Document = {}
    for update in relay.updates:
        if update.container == container:
            asked |= update.body
    return _with_limits(said, asked)


def otherwise(relay: Relay, container: str, said: Document) -> Document:
    """Say other values than were asked for, once they were."""
    asked: Document = {}
    for update in relay.updates:
        if update.container == container and update.t_answer_ns is not None:
            asked |= other(update.body)
    return _with_limits(said, asked)


def _with_limits(said: Document, limits: Values) -> Document:
    config = said["HostConfig"]
    assert isinstance(config, dict)
    assert set(limits) <= _FIELDS
    return said | {"HostConfig": config | dict(limits)}
