"""Draws of a random test: the first ones in the default run, all of them under ``-m long``."""

import pytest


def later(*values):
    """A set of parameters for the long run alone."""
    return pytest.param(*values, marks=pytest.mark.long)


def draws(seeds, quick=1):
    """Seeds to parametrise a test with, of which the default run takes the first ``quick``."""
    return [seed if place < quick else later(seed) for place, seed in enumerate(seeds)]
