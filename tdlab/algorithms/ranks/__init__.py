"""How many terms: bounds, exact fits, fits under noise, the table."""
