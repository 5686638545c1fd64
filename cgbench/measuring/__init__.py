"""From a plan to raw files."""
