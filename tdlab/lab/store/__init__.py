"""Trials in one SQLite file: reading, writing, merging, exporting."""
