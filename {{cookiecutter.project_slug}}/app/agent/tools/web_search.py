"""OpenAI's hosted web search. It runs at OpenAI and exists on the Responses API only."""

from agents import WebSearchTool

from engine import AgentTool

WEB_SEARCH = AgentTool(
    id="web_search",
    label="Web search",
    icon="search",
    functions=(WebSearchTool(),),
    placeholder="Search the web",
    prompt="What is new in PostgreSQL this year?",
    demo_reply=(
        "Web search runs at OpenAI and needs a key: set `OPENAI_API_KEY` in `.env` and restart."
    ),
    responses_api_only=True,
    # Without this, the response does not list the pages that the search read.
    response_include=("web_search_call.action.sources",),
)
