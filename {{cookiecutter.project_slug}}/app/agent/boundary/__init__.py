"""The boundary between models and the application.

Whatever a model's server sends is made fit to be shown, to be stored, and to be sent back to any
model on offer; and what its server refuses is not sent to it again.
"""
