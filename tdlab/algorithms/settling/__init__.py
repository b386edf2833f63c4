"""From what a method returned to what is said of it."""
