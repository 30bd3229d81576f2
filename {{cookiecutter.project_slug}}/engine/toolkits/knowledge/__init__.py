"""The documents that the assistant answers from: reading them, and cutting them into passages."""
