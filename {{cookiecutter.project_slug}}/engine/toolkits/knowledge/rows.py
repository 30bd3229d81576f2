"""The project's documents, in passages that full-text search finds.

They belong to nobody who signs in: their owner is `PROJECT_OWNER`, in whose name everybody's questions
are answered and `python -m app knowledge` writes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import Field
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    Select,
    Text,
    UniqueConstraint,
    cast,
    delete,
    func,
    insert,
    literal,
    literal_column,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import REGCONFIG, TSQUERY, TSVECTOR
from sqlalchemy.orm import InstrumentedAttribute, Mapped, mapped_column
from sqlalchemy.sql.functions import now

from engine.database.database import PROJECT_OWNER, TABLE_PREFIX, Base, Database
from engine.database.rows import UserRow
from engine.database.users import ensure_user
from engine.settings.settings import EnvSettings
from engine.toolkits.knowledge.passages import SEPARATOR, Passage

# Where a word stands says how much it counts: a passage's own heading before those that it stands
# under, the document's title among them.
HEADING, TITLE, BODY = "A", "B", "C"
# A passage that repeats a word because it is long is no better: divide by 1 + log(length).
NORMALIZATION = 1

# A word that everybody uses is in most passages, and ranking takes microseconds for each. So many
# are ranked, from either index, shared out among the words that may stand for one another.
CANDIDATES = 3_000
MAX_WORDS = 8


class KnowledgeSettings(EnvSettings):
    """`knowledge_language` is a text search configuration of the database (psql: `\\dF`)."""

    knowledge_language: str = Field(default="english", pattern=r"^[a-z_]+$")
    knowledge_passages: int = Field(default=6, ge=1, le=10)


class DocumentRow(Base):
    __tablename__ = f"{TABLE_PREFIX}documents"
    __table_args__ = (UniqueConstraint("user_id", "source"),)

    user_id: Mapped[str] = mapped_column(
        ForeignKey(UserRow.id, ondelete="CASCADE"), primary_key=True
    )
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    source: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    added_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=now())


class PassageRow(Base):
    __tablename__ = f"{TABLE_PREFIX}passages"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "document_id"], [DocumentRow.user_id, DocumentRow.id], ondelete="CASCADE"
        ),
        Index(None, "headings", postgresql_using="gin"),
        Index(None, "search", postgresql_using="gin"),
    )

    user_id: Mapped[str] = mapped_column(Text, primary_key=True)
    document_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    heading: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    # The words of title and heading, and these together with those of the text.
    headings: Mapped[Any] = mapped_column(TSVECTOR)
    search: Mapped[Any] = mapped_column(TSVECTOR)


@dataclass(frozen=True)
class Listed:
    source: str
    title: str
    passages: int
    added_at: datetime


@dataclass(frozen=True)
class Found:
    """A passage, and the document that it is of."""

    document_id: int
    number: int
    source: str
    title: str
    heading: str
    text: str


class KnowledgeStore:
    def __init__(self, database: Database, language: str) -> None:
        self._database = database
        self._language = cast(language, REGCONFIG)

    async def put(self, source: str, title: str, passages: Sequence[Passage]) -> None:
        """Add the document, in place of the one that had this source: all of it or nothing."""
        async with self._database.transaction(PROJECT_OWNER) as connection:
            await connection.execute(ensure_user(PROJECT_OWNER))
            await connection.execute(_delete(source))
            document = insert(DocumentRow).values(user_id=PROJECT_OWNER, source=source, title=title)
            document_id = await connection.scalar(document.returning(DocumentRow.id))
            for number, passage in enumerate(passages, 1):
                row = {"heading": passage.heading, "text": passage.text}
                key = {"user_id": PROJECT_OWNER, "document_id": document_id, "number": number}
                words = self._words(title, passage)
                await connection.execute(insert(PassageRow).values(**key, **row, **words))

    async def remove(self, source: str) -> bool:
        """True when there was such a document."""
        async with self._database.transaction(PROJECT_OWNER) as connection:
            return (await connection.execute(_delete(source))).rowcount > 0

    async def all(self) -> list[Listed]:
        statement = (
            select(
                DocumentRow.source,
                DocumentRow.title,
                func.count(PassageRow.number).label("passages"),
                DocumentRow.added_at,
            )
            .outerjoin(PassageRow, _same_document())
            .where(DocumentRow.user_id == PROJECT_OWNER)
            .group_by(DocumentRow.user_id, DocumentRow.id)
            .order_by(DocumentRow.source)
        )
        rows = await self._database.read(PROJECT_OWNER, statement)
        return [Listed(row.source, row.title, row.passages, row.added_at) for row in rows]

    async def search(self, question: str, limit: int) -> list[Found]:
        """Passages with all of the words, the best first; without any, those with some of them."""
        question = question.replace("\0", " ")
        every = func.websearch_to_tsquery(self._language, question)
        found = await self._find(every, limit)
        if found or "-" in question or '"' in question:
            return found
        some = cast(func.replace(cast(every, Text), " & ", " | "), TSQUERY)
        return await self._find(some, limit)

    async def _find(self, query: ColumnElement[Any], limit: int) -> list[Found]:
        statement = best_passages(query, limit)
        return [Found(**row._mapping) for row in await self._database.read(PROJECT_OWNER, statement)]

    def _words(self, title: str, passage: Passage) -> dict[str, ColumnElement[Any]]:
        above, _, own = passage.heading.rpartition(SEPARATOR)
        parts = ((f"{title} {above}", TITLE), (own, HEADING), (passage.text, BODY))
        of_title, of_heading, of_text = [
            func.setweight(func.to_tsvector(self._language, text), literal_column(f"'{weight}'"))
            for text, weight in parts
        ]
        headings = of_title.op("||")(of_heading)
        return {"headings": headings, "search": headings.op("||")(of_text)}


def best_passages(query: ColumnElement[Any], limit: int) -> Select[int, int, str, str, str, str]:
    """The statement for the passages that match, the best first.

    Only `CANDIDATES` of them are ranked. What has the words in its title or heading would win
    anyway and is looked at first; and each alternative of a query has a share, so that a rare
    word is not lost among the passages that have a common one.
    """
    alternatives = (
        func.regexp_split_to_table(cast(query, Text), r" \| ")
        .table_valued("text")
        .render_derived(name="alternative")
    )
    wanted = (
        select(cast(alternatives.c.text, TSQUERY).label("query"))
        # (T is for what says only which words must not be there: no index helps with that.)
        .where(func.querytree(cast(alternatives.c.text, TSQUERY)) != "T")
        .limit(MAX_WORDS)
        .cte("wanted")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    share = select(literal(CANDIDATES) // func.count()).select_from(wanted).scalar_subquery()

    def some_with(
        words: InstrumentedAttribute[Any], *conditions: ColumnElement[bool]
    ) -> Select[Any]:
        rank = func.ts_rank(PassageRow.search, query, NORMALIZATION).label("rank")
        return (
            select(PassageRow.document_id, PassageRow.number, rank)
            .where(PassageRow.user_id == PROJECT_OWNER, words.bool_op("@@")(wanted.c.query), *conditions)
            .correlate(wanted)
            .limit(share)
        )

    candidates = union_all(  # (What a heading lacks may stand in its text, and must not if the question says so.)
        some_with(PassageRow.headings, PassageRow.search.bool_op("@@")(wanted.c.query)),
        some_with(PassageRow.search),
    ).lateral("candidate")
    rank = func.max(candidates.c.rank).label("rank")
    key = (candidates.c.document_id, candidates.c.number)
    best = (
        select(*key, rank)
        .select_from(wanted.join(candidates, true()))
        .group_by(*key)
        .order_by(rank.desc(), *key)
        .limit(limit)
        .cte("best")
    )
    return (
        select(
            PassageRow.document_id,
            PassageRow.number,
            DocumentRow.source,
            DocumentRow.title,
            PassageRow.heading,
            PassageRow.text,
        )
        .join(DocumentRow, _same_document())
        .join(
            best,
            (PassageRow.document_id == best.c.document_id) & (PassageRow.number == best.c.number),
        )
        .where(PassageRow.user_id == PROJECT_OWNER, DocumentRow.user_id == PROJECT_OWNER)
        .order_by(best.c.rank.desc(), PassageRow.document_id, PassageRow.number)
    )


def _delete(source: str) -> Any:
    return delete(DocumentRow).where(DocumentRow.user_id == PROJECT_OWNER, DocumentRow.source == source)


def _same_document() -> ColumnElement[bool]:
    return (PassageRow.user_id == DocumentRow.user_id) & (PassageRow.document_id == DocumentRow.id)
