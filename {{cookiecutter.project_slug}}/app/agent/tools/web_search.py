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
    translations={
        "de": {
            "Web search": "Websuche",
            "Search the web": "Im Web suchen",
            "What is new in PostgreSQL this year?": "Was ist dieses Jahr neu in PostgreSQL?",
        },
        "es": {
            "Web search": "Búsqueda web",
            "Search the web": "Buscar en la web",
            "What is new in PostgreSQL this year?": "¿Qué hay de nuevo en PostgreSQL este año?",
        },
        "fr": {
            "Web search": "Recherche web",
            "Search the web": "Rechercher sur le web",
            "What is new in PostgreSQL this year?": "Quoi de neuf dans PostgreSQL cette année ?",
        },
        "ja": {
            "Web search": "ウェブ検索",
            "Search the web": "ウェブを検索",
            "What is new in PostgreSQL this year?": "今年の PostgreSQL の新機能は？",
        },
    },
    demo_reply=(
        "Web search runs at OpenAI and needs a key: set `OPENAI_API_KEY` in `.env` and restart."
    ),
    responses_api_only=True,
    # Without this, the response does not list the pages that the search read.
    response_include=("web_search_call.action.sources",),
)
