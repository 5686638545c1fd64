"""Many hosts at once: reached over ssh, one Dask worker each; home of dask and asyncssh."""
