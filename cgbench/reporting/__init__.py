"""From verdicts to pages, plots, Markdown and JUnit."""
