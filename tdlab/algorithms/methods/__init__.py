"""Decomposition methods of our own, one file each."""
