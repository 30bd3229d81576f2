"""The boundary between models and the application.

Everything that a model's server sends is made fit to be shown, to be stored, and to be sent back
to any model on offer. A request that its server refuses is made in another way, and from then on.
"""
