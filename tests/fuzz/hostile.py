"""Texts that steer a terminal, end the markup they stand in, or lead somewhere as a path."""

from __future__ import annotations

import json

MARK = "evilcgbench"
"""A name of an element, a link or a file that stands in the hostile texts and nowhere else."""

LONG = "@1 MB"
"""What stands in a case for a text of a million characters, which would fill a log."""

TEXTS: tuple[str, ...] = (
    "\x1b[2J\x1b[31mred", "\x1b]0;title\x07", "\x1b]8;;http://" + MARK + "\x07here\x1b]8;;\x07",
    "\x9b31m", "over\rwritten", "back\b\b\b\b", "a\nb\n\nc", "\x7f\x00\x01", "\u202egnp.exe",
    "\u2066\u2069\u200b\ufeff", "\u2028\u2029\x85", "\ufffe\uffff", "\U000e0041\U0001f468\u200d",
    "[bold]x[/bold]", "[/x]", "[link=http://" + MARK + "]x[/link]", f"[@click=app.{MARK}]x[/]",
    f"<{MARK}>", f"</script><{MARK}>", f"\"><{MARK} onload='x'>", f"'><img src=x onerror={MARK}>",
    f"<b>{MARK}</b><br><a href='http://{MARK}'>x</a><extra>%{{{MARK}}}</extra>",
    f"<![CDATA[<{MARK}>]]>", f"]]><{MARK}/>", f"<!--<{MARK}>", f"&lt;{MARK}&gt;&#27;[31m",
    f"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///{MARK}'>]>&b;", "{{ 7 * 7 }}", "{% include 'x' %}",
    f"x | y |\n| forged | ![i](http://{MARK}) |", f"`code` **b** [l](http://{MARK})",
    "\n### ✓ cpu-quota-sweep: unchanged", "\n\n---\n\n- [x] done", "```\nx", "<details>", "\\",
    "\\`",
    f"../../../../../../{MARK}", f"/tmp/{MARK}", f"/etc/{MARK}", f"//{MARK}", "..", ".", "/",
    "~root",
    "/proc/sys/kernel/sysrq", "/etc/passwd", "/dev/sda", "/sys/block/sda/device/delete", "C:\\x",
    f"a/../../{MARK}.toml", f"x\x00/{MARK}", f"$(touch /tmp/{MARK})", f"`touch /tmp/{MARK}`",
    f"; touch /tmp/{MARK}", f"x && touch /tmp/{MARK}", "x\nid >/root/owned\n", "--privileged",
    "-v/:/h",
    "a&name=b", "a?x=1#y", "%2e%2e%2f", "%s%n%d", "{0.__class__}", "${IFS}", "*" * 500, "[" * 500,
    "x" * 70_000, "é" * 3000, "٣", "²", " ", "\t", "0x10", "1_000", "١٠٠٠",
    "-0", "+5", "1e5", "NaN", "none", "None", "True", "latest", "con", "a" * 256,
)  # fmt: skip
"""Every text that is put in the place of another."""

JSON_VALUES: tuple[str, ...] = (*map(json.dumps, TEXTS), LONG, '"\\ud800"', '"x\\udfff"')
"""The same as JSON writes them, also where JSON can write what no text can hold."""

TOML_VALUES: tuple[str, ...] = (
    # TOML takes JSON's texts, but for the half of a character.
    *(json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f") for text in TEXTS), LONG,
    '{ "/proc/sys/kernel/sysrq" = 1 }', '{ "../x" = 0 }', '{ "\\u001b[31m" = 0 }',
    "9223372036854775807",
    '"900g"', '"8191p"', '"999h"', '"3601s"', "[" + "1000, " * 9999 + "1000]",
)  # fmt: skip
"""The same as TOML writes them, and what asks for more than a host has."""

KEYS: tuple[str, ...] = tuple(map(json.dumps, TEXTS))
"""The same as keys."""


def expanded(text: str) -> str:
    """Return the text that a case stands for."""
    return '"' + "x" * 2**20 + '"' if text == LONG else text
