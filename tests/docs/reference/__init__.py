"""What the reference pages take from the code, a module for each kind of thing."""
