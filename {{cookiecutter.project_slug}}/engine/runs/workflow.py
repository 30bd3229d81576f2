"""A workflow that no answer closed."""

from chatkit.types import DurationSummary, Task, ThreadItemDoneEvent, WorkflowItem

from engine.context.clock import seconds_since


def close_workflow(item: WorkflowItem) -> ThreadItemDoneEvent:
    """Close the workflow of a run that failed, was stopped, or said nothing."""
    workflow = item.workflow.model_copy(
        update={
            "tasks": [finished(task) for task in item.workflow.tasks],
            "summary": DurationSummary(duration=seconds_since(item.created_at)),
            "expanded": False,
        }
    )
    return ThreadItemDoneEvent(item=item.model_copy(update={"workflow": workflow}))


def finished(task: Task) -> Task:
    return task.model_copy(update={"status_indicator": "complete"})
