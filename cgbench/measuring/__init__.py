"""From a plan to raw files: trials, the sampler, the probe, idle containers."""
