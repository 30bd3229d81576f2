"""A tool of the tests' own that opens a workflow of its own."""

from agents import RunContextWrapper
from chatkit.types import CustomTask, Workflow

from engine.tools.tool import AgentTool, agent_function
from engine.tools.turn_context import TurnContext


@agent_function
async def plan(turn: RunContextWrapper[TurnContext]) -> str:
    """Open a workflow with a task of its own."""
    task = CustomTask(title="Own step", status_indicator="loading")
    await turn.context.start_workflow(Workflow(type="custom", tasks=[task]))
    return "Planned."


PLANNER = AgentTool(
    id="planner",
    label="Planner",
    icon="notebook",
    functions=(plan,),
    placeholder="What shall I plan?",
    prompt="Plan my day",
)
