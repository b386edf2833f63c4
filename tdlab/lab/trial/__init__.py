"""One trial, a pure function of its task."""
