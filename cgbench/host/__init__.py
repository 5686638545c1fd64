"""This machine and its kernel."""
