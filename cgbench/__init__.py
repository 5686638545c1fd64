"""Shows what container resource limits really do: declared, enforced and experienced."""

__version__ = "0.1.0"
