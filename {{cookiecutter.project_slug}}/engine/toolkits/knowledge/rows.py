"""The tables of the project's documents and passages, with PostgreSQL's full-text search.

The owner of these rows is `PROJECT_OWNER` and not a user: all users search them, and
`python3 -m app knowledge` writes them.
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

from engine.database.database import PROJECT_OWNER, TABLE_PREFIX, Base, Database, holds
from engine.database.rows import UserRow
from engine.database.users import ensure_user
from engine.settings.settings import EnvSettings
from engine.toolkits.knowledge.passages import SEPARATOR, Passage

# Weights of full-text search: a passage's own heading counts most, then the headings above it and
# the document's title, then its text.
HEADING, TITLE, BODY = "A", "B", "C"
# ts_rank divides the rank by 1 + log(length), so that long passages are not preferred.
NORMALIZATION = 1

# The number of passages that are ranked from each index, because ranking takes microseconds for
# each and a common word is in most passages. Alternative words (OR) share this number.
CANDIDATES = 3_000
MAX_WORDS = 8


class KnowledgeSettings(EnvSettings):
    """`knowledge_language` is a text search configuration of the database (psql: `\\dF`)."""

    knowledge_language: str = Field(default="english", pattern=r"^[a-z_]+$")
    knowledge_passages: int = Field(default=6, ge=1, le=10)


class DocumentRow(Base):
    __tablename__ = f"{TABLE_PREFIX}documents"
    __table_args__ = (UniqueConstraint("user_id", "source"), holds("documents"))

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
        holds("passages", without=("headings", "search")),
    )

    user_id: Mapped[str] = mapped_column(Text, primary_key=True)
    document_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    heading: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    # `headings` holds the words of title and headings; `search` holds those and the text's words.
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
    """A passage that a search found, with its document."""

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
        """Add the document, or replace the one with the same source, in one transaction."""
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
        """Returns False if there was no such document."""
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
        """The best passages with all of the words, or with some of them if there are none."""
        question = question.replace("\0", " ")
        every = func.websearch_to_tsquery(self._language, question)
        found = await self._find(every, limit)
        if found or "-" in question or '"' in question:
            return found
        some = cast(func.replace(cast(every, Text), " & ", " | "), TSQUERY)
        return await self._find(some, limit)

    async def _find(self, query: ColumnElement[Any], limit: int) -> list[Found]:
        statement = best_passages(query, limit)
        return [
            Found(**row._mapping) for row in await self._database.read(PROJECT_OWNER, statement)
        ]

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

    It ranks only `CANDIDATES` passages. It takes those with the words in title or heading first,
    because they rank highest. Each alternative of a query gets an equal share, so that passages
    with a rare word are not crowded out by those with a common word.
    """
    alternatives = (
        func.regexp_split_to_table(cast(query, Text), r" \| ")
        .table_valued("text")
        .render_derived(name="alternative")
    )
    wanted = (
        select(cast(alternatives.c.text, TSQUERY).label("query"))
        # querytree is T for a query that only excludes words; no index can serve it.
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
            .where(
                PassageRow.user_id == PROJECT_OWNER,
                words.bool_op("@@")(wanted.c.query),
                *conditions,
            )
            .correlate(wanted)
            .limit(share)
        )

    candidates = union_all(
        # The second condition also checks the text, which may hold an excluded word.
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
    return delete(DocumentRow).where(
        DocumentRow.user_id == PROJECT_OWNER, DocumentRow.source == source
    )


def _same_document() -> ColumnElement[bool]:
    return (PassageRow.user_id == DocumentRow.user_id) & (PassageRow.document_id == DocumentRow.id)
