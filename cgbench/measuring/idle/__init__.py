"""What idle containers show about an option."""
