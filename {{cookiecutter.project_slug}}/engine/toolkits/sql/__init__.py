"""The database that questions are answered from: what may be asked of it, and asking it."""
