"""What is lent by the host for a trial and given back: devices, swap, cgroups."""
