"""What is asked for: options, metrics, experiments."""
