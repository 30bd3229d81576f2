<%!
from engine.database.autogenerate import prefix_by_name
%>\
"""${message}"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
% if "TABLE_PREFIX" in prefix_by_name(upgrades or "") + prefix_by_name(downgrades or ""):
from engine.rows import TABLE_PREFIX

% endif
revision: str = ${repr(up_revision)}
down_revision: str | Sequence[str] | None = ${repr(down_revision)}
branch_labels: str | Sequence[str] | None = ${repr(branch_labels)}
depends_on: str | Sequence[str] | None = ${repr(tuple(depends_on) if isinstance(depends_on, list) else depends_on)}


def upgrade() -> None:
    ${prefix_by_name(upgrades) if upgrades else "pass"}


def downgrade() -> None:
    ${prefix_by_name(downgrades) if downgrades else "pass"}
