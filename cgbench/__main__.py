"""`python -m cgbench` is the command `cgbench`."""

from cgbench.cli.app import main

if __name__ == "__main__":
    main()
