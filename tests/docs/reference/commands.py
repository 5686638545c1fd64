"""The commands, from typer: their arguments, options, defaults and help."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgbench.cli import app
from tests.docs.reference.markdown import code, table

_KINDS = {int: "N", float: "NUMBER", str: "TEXT", Path: "FILE"}


@dataclass(frozen=True)
class Parameter:
    """An argument, or an option with its flags."""

    names: tuple[str, ...]
    metavar: str
    default: str
    help: str
    is_option: bool
    required: bool

    @property
    def usage(self) -> str:
        """The parameter as a usage line shows it."""
        if not self.is_option:
            return self.metavar if self.required else f"[{self.metavar}]"
        shown = f"{self.names[0]} {self.metavar}".strip()
        return shown if self.required else f"[{shown}]"


@dataclass(frozen=True)
class Command:
    """One command: its whole name, what its help says, and its parameters."""

    name: str
    help: str
    parameters: tuple[Parameter, ...]

    @property
    def usage(self) -> str:
        """The command as one types it, without its options."""
        arguments = [one.usage for one in self.parameters if not one.is_option]
        return " ".join(["cgbench", self.name, *arguments])

    @property
    def summary(self) -> str:
        """The first sentence of its help."""
        return self.help.split("\n\n")[0]


def all_commands() -> list[Command]:
    """Return every command, those of groups too, in the order of the help."""
    return list(_walked(app.command(), ""))


def details() -> str:
    """Return a section per command: usage, help and parameters."""
    return "\n\n".join(_section(one) for one in all_commands())


def in_short() -> str:
    """Return a table with one line per command."""
    return table(
        ("command", "what it does"),
        [(code(f"cgbench {one.name}"), one.summary.rstrip(".")) for one in all_commands()],
    )


def _walked(group: Any, prefix: str) -> Iterator[Command]:
    for name, command in group.commands.items():
        whole = f"{prefix} {name}".strip()
        if hasattr(command, "commands"):
            yield from _walked(command, whole)
        else:
            parameters = tuple(_parameter(one) for one in command.params)
            yield Command(whole, _unwrapped(command.help or ""), parameters)


def _unwrapped(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n"))


def _parameter(given: Any) -> Parameter:
    is_option = given.param_type_name == "option"
    is_flag = getattr(given, "is_flag", False)
    metavar = "" if is_flag else given.metavar or _KINDS[given.type_descriptor.annotation]
    return Parameter(
        names=tuple(given.opts),
        metavar=metavar,
        default=_default(given.default, is_flag),
        help=getattr(given, "help", None) or "",
        is_option=is_option,
        required=given.required,
    )


def _default(value: object, is_flag: bool) -> str:
    if is_flag or value is None or callable(value):
        return ""
    return value.as_posix() if isinstance(value, Path) else str(value)


def _section(command: Command) -> str:
    parts = [f"### cgbench {command.name}", f"```\n{command.usage}{_has_options(command)}\n```"]
    parts.append(command.help)
    rows = [
        (
            ", ".join(code(f"{name} {one.metavar}".strip()) for name in one.names),
            code(one.default) or ("required" if one.required else "–"),
            one.help,
        )
        for one in command.parameters
        if one.is_option
    ]
    if rows:
        parts.append(table(("option", "default", "what it does"), rows))
    return "\n\n".join(parts)


def _has_options(command: Command) -> str:
    return " [OPTIONS]" if any(one.is_option for one in command.parameters) else ""
