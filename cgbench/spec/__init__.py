"""What is asked for: options, metrics, experiments; knows no machine, no daemon, no results."""
