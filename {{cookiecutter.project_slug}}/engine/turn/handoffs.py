"""Hand-offs between agents: which agent a conversation is with."""

from collections.abc import Iterator
from typing import Any

from agents import Agent

from engine.sdk_internals import target_of


def agent_to_begin_with(entry: Agent[Any], name: object) -> Agent[Any]:
    """The agent of that name that `entry` can lead to; `entry` itself if there is none any more."""
    return next((agent for agent in _reachable(entry) if agent.name == name), entry)


def _reachable(entry: Agent[Any]) -> Iterator[Agent[Any]]:
    seen, waiting = set(), [entry]
    while waiting:
        agent = waiting.pop(0)
        if id(agent) in seen:
            continue
        seen.add(id(agent))
        yield agent
        targets = (_target(handoff) for handoff in agent.handoffs)
        waiting += [target for target in targets if target is not None]


def _target(handoff: Any) -> Agent[Any] | None:
    return handoff if isinstance(handoff, Agent) else target_of(handoff)
