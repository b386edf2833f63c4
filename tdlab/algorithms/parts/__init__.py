"""What algebraic methods are made of: pencils, quotients, candidates, starts."""
