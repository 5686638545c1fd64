"""The manual: what of it is generated, and that all of it is in step with the code."""
