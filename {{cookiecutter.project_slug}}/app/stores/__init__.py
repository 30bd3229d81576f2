"""Tables that belong to one option, each in a module with its own queries.

`migrations/env.py` imports every module of this package, so a new one needs no registration.
"""
