"""The analytics database: checks a query and executes it."""
