"""From raw files to numbers and verdicts."""
