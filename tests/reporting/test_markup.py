"""Text as HTML: words kept, nothing of it markup."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape

from cgbench.foreign import printable
from cgbench.reporting import markup


@given(st.text(alphabet=st.characters(exclude_characters="`"), max_size=60))
def test_prose_keeps_its_words_and_lets_no_markup_through(text: str) -> None:
    html = str(markup.prose(text))
    assert html.replace("\N{NO-BREAK SPACE}", " ") == str(escape(printable(text))).replace(
        "\xa0", " "
    )


def test_prose_turns_backticks_into_code_and_keeps_numbers_with_their_units() -> None:
    assert str(markup.prose("`--cpu-quota` held within 0.3 % in 41 ms")) == (
        '<code class="word">--cpu-quota</code> held within 0.3\xa0% in 41\xa0ms'
    )
    assert str(markup.prose("after `--cpus <1> x`")) == "after <code>--cpus &lt;1&gt; x</code>"


def test_the_name_of_a_file_breaks_between_its_words_only() -> None:
    assert str(markup.breakable("memory.limit_in_bytes")) == (
        "memory.<wbr>limit_<wbr>in_<wbr>bytes"
    )
    assert str(markup.breakable("<b>_")) == "&lt;b&gt;_"
