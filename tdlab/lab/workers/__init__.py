"""Trials onto processors, whatever they compute."""
