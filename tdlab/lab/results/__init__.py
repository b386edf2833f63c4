"""What stored trials say: thresholds, events, measures, verdicts, comparisons."""
