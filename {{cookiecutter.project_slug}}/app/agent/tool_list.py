"""The tools of the agent."""

# Each tool is a module or a folder in `tools/`.
# {%- if ",chart," in cookiecutter.__tools +%}
from app.agent.tools.chart import CHART

# {%- endif +%}
# {%- if ",documents," in cookiecutter.__tools +%}
from app.agent.tools.documents import DOCUMENTS

# {%- endif +%}
# {%- if ",email," in cookiecutter.__tools +%}
from app.agent.tools.email import EMAIL

# {%- endif +%}
# {%- if ",image," in cookiecutter.__tools +%}
from app.agent.tools.image import IMAGE

# {%- endif +%}
# {%- if ",knowledge," in cookiecutter.__tools +%}
from app.agent.tools.knowledge import KNOWLEDGE

# {%- endif +%}
# {%- if ",mcp," in cookiecutter.__tools +%}
from app.agent.tools.mcp import MCP

# {%- endif +%}
# {%- if ",notes," in cookiecutter.__tools +%}
from app.agent.tools.notes.tool import NOTES

# {%- endif +%}
# {%- if ",page," in cookiecutter.__tools +%}
from app.agent.tools.page import PAGE

# {%- endif +%}
# {%- if ",sql," in cookiecutter.__tools +%}
from app.agent.tools.sql import SQL

# {%- endif +%}
# {%- if ",web_search," in cookiecutter.__tools +%}
from app.agent.tools.web_search import WEB_SEARCH

# {%- endif +%}
from engine import AgentTool

# isort: split
# Import your own tools here, where no update changes a line.

TOOLS: tuple[AgentTool, ...] = (
    # In the order of the composer's menu.
    # {% if ",notes," in cookiecutter.__tools %}
    NOTES,
    # {% endif %}
    # {% if ",web_search," in cookiecutter.__tools %}
    WEB_SEARCH,
    # {% endif %}
    # {% if ",chart," in cookiecutter.__tools %}
    CHART,
    # {% endif %}
    # {% if ",sql," in cookiecutter.__tools %}
    SQL,
    # {% endif %}
    # {% if ",page," in cookiecutter.__tools %}
    PAGE,
    # {% endif %}
    # {% if ",email," in cookiecutter.__tools %}
    EMAIL,
    # {% endif %}
    # {% if ",knowledge," in cookiecutter.__tools %}
    KNOWLEDGE,
    # {% endif %}
    # {% if ",documents," in cookiecutter.__tools %}
    DOCUMENTS,
    # {% endif %}
    # {% if ",image," in cookiecutter.__tools %}
    IMAGE,
    # {% endif %}
    # {% if ",mcp," in cookiecutter.__tools %}
    MCP,
    # {% endif %}
    # Your own tools.
)
