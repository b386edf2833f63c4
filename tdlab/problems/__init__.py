"""What is to be found: one file a kind of problem, each draws instances and judges answers."""

from tdlab.problems.base import Answer, Instance, Problem, Terms, Verdict

__all__ = ["Answer", "Instance", "Problem", "Terms", "Verdict"]
