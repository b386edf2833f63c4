"""Least squares: losses, steps and loops that several methods share."""
