"""This machine and its kernel: cgroups, /proc, preconditions, scratch devices."""
