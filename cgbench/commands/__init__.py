"""One use case a module: with cli the only room that knows both sides."""
