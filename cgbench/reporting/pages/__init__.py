"""What each page shows, in its order."""
