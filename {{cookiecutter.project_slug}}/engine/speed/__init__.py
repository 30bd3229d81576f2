"""Shortcuts for throughput. Without them the events of an answer are the same, and cost more.

| module | what it spares |
|---|---|
| `text_deltas` | the SDK's translation of each text delta: a task and a dozen generators' steps |
| `joined_chunks` | a write to the socket for each text delta, a third of the work for it |
| `garbage` | most searches of the whole process for garbage, which hold up every answer |
| `turn_store` | a statement before each answer, one round trip to the database |
"""
