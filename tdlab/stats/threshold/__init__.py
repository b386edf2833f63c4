"""Where a success rate crosses one half."""
