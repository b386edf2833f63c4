"""Figures of a store; the only part that draws."""
