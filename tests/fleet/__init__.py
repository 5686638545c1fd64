"""Tests of cgbench/fleet."""
