"""From verdicts to pages, Markdown and JUnit."""
