"""Docker: the daemon, its images, containers and streams."""
