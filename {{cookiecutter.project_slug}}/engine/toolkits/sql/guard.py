"""Checks that a query for the analytics database is one SELECT that only reads and computes.

This is the first of three protections. The second is the transaction, which is READ ONLY and has a
short timeout; the third is the database role, which should have only the right to SELECT
(docs/configure.md).

The statement that is executed is not the model's text but the one that sqlglot generates from its
syntax tree. That statement is parsed again and must give the same result, so that a query cannot
exploit a difference between sqlglot's and PostgreSQL's parsers, or an error of sqlglot's generator.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlglot import TokenType, exp, tokenize
from sqlglot.errors import SqlglotError
from sqlglot.parsers.postgres import PostgresParser

from engine.toolkits.sql.calls import DIALECT, name_of
from engine.toolkits.sql.growth import TooLarge, check_growth

MAX_SQL_CHARS = 8_000

# This is a list of allowed functions, because a list of forbidden ones would never be complete:
# PostgreSQL has about 3,000 functions, extensions and users add more, and some of them read files,
# wait, signal other sessions or run SQL from a string.
_ALLOWED = """
any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp
every grouping json_agg json_object_agg jsonb_agg jsonb_object_agg max min mode percentile_cont
percentile_disc range_agg regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope
stddev stddev_pop stddev_samp string_agg sum var_pop var_samp variance

cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank
row_number

all any array case cast coalesce exists extract greatest least nullif num_nonnulls num_nulls
row some

abs acos asin atan atan2 cbrt ceil ceiling cos cot degrees div exp factorial floor gcd lcm ln
log log10 min_scale mod pi pow power radians random round scale sign sin sqrt tan trim_scale
trunc width_bucket

ascii bit_length btrim char_length character_length chr concat concat_ws decode encode format
initcap left length lower lpad ltrim md5 normalize octet_length overlay position regexp_count
regexp_instr regexp_like regexp_match regexp_matches regexp_replace regexp_split_to_array
regexp_split_to_table regexp_substr repeat replace reverse right rpad rtrim similarity
split_part starts_with string_to_array string_to_table strpos substr substring to_ascii to_hex
translate trim unaccent upper word_similarity

age clock_timestamp date_add date_bin date_part date_subtract date_trunc isfinite justify_days
justify_hours justify_interval make_date make_interval make_time make_timestamp
make_timestamptz now statement_timestamp timezone to_char to_date to_number to_timestamp
transaction_timestamp

array_append array_cat array_dims array_length array_lower array_ndims array_position
array_positions array_prepend array_remove array_replace array_to_json array_to_string
array_upper cardinality generate_series generate_subscripts unnest

json_array_elements json_array_elements_text json_array_length json_build_array
json_build_object json_each json_each_text json_extract_path json_extract_path_text
json_object json_object_keys json_strip_nulls json_to_record json_to_recordset json_typeof
jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array
jsonb_build_object jsonb_each jsonb_each_text jsonb_extract_path jsonb_extract_path_text
jsonb_object jsonb_object_keys jsonb_path_exists jsonb_path_match jsonb_path_query
jsonb_path_query_array jsonb_path_query_first jsonb_pretty jsonb_strip_nulls jsonb_to_record
jsonb_to_recordset jsonb_typeof row_to_json to_json to_jsonb

daterange int4range int8range isempty lower_inc lower_inf numrange range_merge tsrange
tstzrange upper_inc upper_inf

numnode phraseto_tsquery plainto_tsquery to_tsquery to_tsvector ts_headline ts_rank ts_rank_cd
websearch_to_tsquery
"""
FUNCTIONS = frozenset(_ALLOWED.split())

SAMPLES = ("BERNOULLI", "SYSTEM")
SYSTEM_SCHEMAS = {"information_schema", "pg_catalog", "pg_toast"}

FORBIDDEN: dict[type[exp.Expr], str] = {
    exp.DML: "it would write",
    exp.DDL: "it would change the schema",
    exp.Into: "SELECT INTO would make a table",
    exp.Lock: "FOR UPDATE and FOR SHARE would lock rows",
    exp.Command: "only SELECT is possible",
    exp.Operator: "OPERATOR(…) is not possible",
    exp.Placeholder: "placeholders have no values here",
    exp.Parameter: "placeholders have no values here",
    exp.SessionParameter: "session parameters are not for queries",
}


class _Parser(PostgresParser):
    """Knows only functions with a special syntax, such as EXTRACT.

    sqlglot keeps unknown functions unchanged, but rewrites those that it knows; a rewritten format
    of to_char(), for example, could give a wrong result.
    """

    FUNCTIONS: ClassVar[dict[str, Any]] = {}


class Refused(Exception):
    """The statement is not allowed; the message says why, for the model."""


@dataclass(frozen=True)
class Query:
    """A statement to execute.

    `attributes` are the names behind a dot. PostgreSQL reads `o.name` as `name(o)` if there is no
    such column, so they must not be names of functions, which only the database can check.
    """

    sql: str
    attributes: frozenset[str] = frozenset()


def check_query(sql: str) -> Query:
    """The statement to execute for this text. Raises `Refused` if it is not allowed."""
    if len(sql) > MAX_SQL_CHARS:
        raise Refused(f"a query has at most {MAX_SQL_CHARS} characters")
    parsed = _checked(sql)
    written = _written(parsed)
    reparsed = _checked(written)
    if _written(reparsed) != written or _names_and_values(reparsed) != _names_and_values(parsed):
        raise Refused("it could be understood in two ways; write it more simply")
    return Query(written, frozenset(_attributes(reparsed)))


def _checked(sql: str) -> exp.Expr:
    statement = _parsed(sql)
    for node in statement.walk():
        _check(node)
    try:
        check_growth(statement)
    except TooLarge as error:
        raise Refused(str(error)) from error
    return statement


def _written(statement: exp.Expr) -> str:
    return statement.sql(dialect=DIALECT, comments=False)


def _names_and_values(statement: exp.Expr) -> list[tuple[str, str]]:
    """The names and values in the order of the text.

    Two equal statements can have different trees: 2 ^ 3 becomes POWER(2, 3).
    """
    return [
        ("value" if isinstance(node, _VALUES) else type(node).__name__, str(node.this))
        for node in statement.walk(bfs=False)
        if isinstance(node, (exp.Identifier, exp.Var, *_VALUES))
    ]


_VALUES = (exp.Literal, exp.RawString, exp.ByteString, exp.National, exp.UnicodeString)


def _attributes(statement: exp.Expr) -> Iterator[str]:
    """The names behind a dot, in lower case unless they are quoted, as PostgreSQL reads them."""
    for node in statement.find_all(exp.Column, exp.Dot):
        name = node.this if isinstance(node, exp.Column) else node.expression
        is_behind_dot = isinstance(node, exp.Dot) or node.args.get("table") is not None
        if is_behind_dot and isinstance(name, exp.Identifier):
            yield name.name if name.quoted else name.name.lower()


def _parsed(sql: str) -> exp.Expr:
    try:
        tokens = tokenize(sql, read=DIALECT)
        while tokens and tokens[-1].token_type is TokenType.SEMICOLON:
            tokens.pop()
        if not tokens or tokens[0].token_type not in _BEGINNINGS:
            raise Refused("only SELECT is possible")
        if any(token.token_type is TokenType.SEMICOLON for token in tokens):
            raise Refused("only one statement is possible")
        [statement] = _Parser(dialect=DIALECT).parse(tokens, sql)
    except (SqlglotError, RecursionError) as error:
        raise Refused("it cannot be read as PostgreSQL's SQL") from error
    if not isinstance(statement, exp.Query):
        raise Refused("only SELECT is possible")
    return statement


_BEGINNINGS = {TokenType.SELECT, TokenType.WITH, TokenType.L_PAREN}


def _check(node: exp.Expr) -> None:
    for kind, reason in FORBIDDEN.items():
        if isinstance(node, kind):
            raise Refused(reason)
    match node:
        case exp.CTE(this=inner) if not isinstance(inner, exp.Query | exp.Values):
            raise Refused("WITH may hold only SELECT")
        case exp.Table():
            _check_table(node)
        case exp.Kwarg():
            _check_argument_name(node)
        case exp.TableSample():
            if node.text("method").upper() not in SAMPLES:
                raise Refused(f"TABLESAMPLE is possible with {' and '.join(SAMPLES)}")
        case exp.Dot(expression=exp.Func()):
            raise Refused("a function is named without its schema")
        case exp.Func():
            _check_function(node)


def _check_table(table: exp.Table) -> None:
    schema, name = table.db.lower(), table.name.lower()
    if schema in SYSTEM_SCHEMAS or schema.startswith("pg_") or name.startswith("pg_"):
        raise Refused("the system's tables are not for queries; list_tables says what there is")
    if schema and isinstance(table.this, exp.Func):
        raise Refused("a function is named without its schema")


def _check_argument_name(argument: exp.Kwarg) -> None:
    """Refuse quoted argument names, because sqlglot omits the quotes."""
    if not re.fullmatch(r"[A-Za-z_]\w*", argument.this.name, re.ASCII):
        raise Refused("an argument's name is written without quotes")


def _check_function(function: exp.Func) -> None:
    if isinstance(function, exp.Anonymous) and isinstance(function.this, exp.Identifier):
        raise Refused("a function's name is written without quotes")
    name = name_of(function)
    if name is not None and name not in FUNCTIONS:
        raise Refused(f"the function {name} is not on the list of those that are allowed")
