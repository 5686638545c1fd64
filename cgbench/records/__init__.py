"""Every document that cgbench stores, and the disk."""
