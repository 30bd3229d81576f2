"""The documents that the assistant answers from: reads, splits, stores and searches them."""
