"""The boundary between models' servers and the application.

It normalizes everything that a server sends, so that it can be shown, stored, and sent to any other
model on offer. If a server refuses a request, it retries with a workaround and remembers that.
"""
