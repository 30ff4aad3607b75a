"""What is said: the shapes that cross a process border."""
