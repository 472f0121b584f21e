"""
Search of users by a text, through the index of `czo_auth.storage.user_search_index`.

The index only names candidates, whose texts are compared as they would be without it, so both find the same users.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    TableClause,
    column,
    func,
    literal_column,
    or_,
    select,
    table,
    true,
)

from czo_auth.core.limits import MAX_CANDIDATES, MAX_LISTED, MAX_TRIGRAMS
from czo_auth.storage.tables import Tables
from czo_auth.storage.user_search_index import has_search_index

_SIZE: Final = 3
"""Characters of a trigram."""
_ALPHABETS: Final = ((0x20, 0x24F), (0x370, 0x3F2), (0x3F4, 0x523), (0x1E00, 0x1FFF))
"""Ranges of letters whose case FTS5 folds as Python does, but for ``İ``, which the triggers replace."""
_SAMPLE: Final = 50
"""Of the oldest users, and as many of the newest."""
_FREQUENT_SHARE: Final = 0.9
"""Of these users: a trigram that so many have excludes hardly anybody."""
_ESCAPE: Final = "/"
_NOT_LITERAL: Final = re.compile(f"[%_{_ESCAPE}]")
_NO_WORD: Final = re.compile(r"[\W_]")
_IS_INDEXED: Final = re.compile(r"\w\w.|.\w\w")
"""Of three characters, the trigrams of ``pg_trgm``: the word goes on, begins or ends."""


def user_contains(connection: Connection, tables: Tables, searched: str) -> ColumnElement[bool]:
    """
    Return the condition that the address or the name of a user contains *searched*, whatever the case.

    It is made for the users of now, and for one statement of this transaction.
    """
    users = tables.users
    texts: tuple[ColumnElement[str], ...] = (users.c.email, users.c.name)
    if connection.dialect.name == "sqlite":
        return sqlite_candidates(connection, tables, searched) & _contain(texts, searched)
    # The planner selects the index by itself, but only if the plan is made for this text.
    connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_custom_plan")
    pattern = rare_part(searched, _some_texts(connection, tables) if len(searched) > _SIZE else ())
    if pattern is None:
        return _contain(texts, searched)
    # As an expression that is not indexed, or the index would be asked for the whole text nevertheless.
    return or_(*(each.ilike(pattern, escape=_ESCAPE) for each in texts)) & _contain(
        [each.concat("") for each in texts], searched
    )


def _contain(texts: Iterable[ColumnElement[str]], searched: str) -> ColumnElement[bool]:
    return or_(*(each.icontains(searched, autoescape=True) for each in texts))


def trigram_query(searched: str) -> str | None:
    """
    Return FTS5's query for users that may have the text *searched* in the address or the name.

    Returns:
        None if the text has no three characters in a row whose case FTS5 folds as Python does.
    """
    folded = searched.lower()
    found = [folded[at : at + 3] for at in range(len(folded) - 2)]
    usable = [each for each in dict.fromkeys(found) if all(map(_is_folded_alike, each))]
    if not usable:
        return None
    # Evenly spread: the rare part of a long text may be anywhere.
    step = max(1, -(-len(usable) // MAX_TRIGRAMS))
    return " AND ".join('"' + each.replace('"', '""') + '"' for each in usable[::step])


def sqlite_candidates(connection: Connection, tables: Tables, searched: str) -> ColumnElement[bool]:
    """
    Return a condition that all users meet who have the text *searched* in the address or the name.

    Returns:
        True if the index cannot be used, or if it names so many that a page of them is found sooner in the order of
        the list.
    """
    query = trigram_query(searched)
    if query is None or not has_search_index(connection, tables):
        return true()
    index, numbers = table(tables.user_search_table, column("rowid")), _numbers(tables)
    matched = literal_column(tables.user_search_table).op("MATCH", is_comparison=True)(query)
    candidates = select(index.c.rowid).where(matched)
    ids = select(numbers.c.user_id)
    # A few are read at once: each lookup in the index goes through lists that grow with the number of users. The limit
    # is on the candidates, because SQLite lists all that IN names before it reads the first row.
    first = ids.where(numbers.c.number.in_(candidates.limit(MAX_LISTED + 1)))
    few = connection.execute(first).scalars().all()
    if len(few) <= MAX_LISTED:
        return tables.users.c.id.in_(few)
    some = candidates.limit(MAX_CANDIDATES + 1).subquery()
    if connection.execute(select(func.count()).select_from(some)).scalar_one() > MAX_CANDIDATES:
        return true()
    return tables.users.c.id.in_(ids.where(numbers.c.number.in_(candidates)))


def _numbers(tables: Tables) -> TableClause:
    return table(tables.user_numbers_table, column("number"), column("user_id"))


def _is_folded_alike(character: str) -> bool:
    """Return whether no letter folds to *character* in Python and to another one in FTS5, whose Unicode is older."""
    if any(first <= ord(character) <= last for first, last in _ALPHABETS):
        return True
    return character.upper() == character and character >= " "


def rare_part(searched: str, texts: Sequence[str]) -> str | None:
    """
    Return the LIKE pattern of what *searched* has beside the trigrams that nearly all users have.

    PostgreSQL's index goes through the users of each trigram of a pattern: ``example.com`` costs it more than anything
    else in ``ada@example.com``, and excludes nobody.

    Args:
        texts: Address and name of some users.

    Returns:
        None if *searched* is to be looked up as it is: it has no frequent trigram, or no other one.
    """
    # Where letters fold together with their neighbors, a part of a text may not be found where the text is.
    if not texts or not searched.isascii():
        return None
    most = len(texts) * _FREQUENT_SHARE
    words, among = _words(searched), [f" {_words(each)} " for each in texts]
    keeps = [False] * len(searched)
    for at in range(len(words) - _SIZE + 1):
        trigram = words[at : at + _SIZE]
        if _IS_INDEXED.fullmatch(trigram) and sum(trigram in each for each in among) < most:
            keeps[at : at + _SIZE] = [True] * _SIZE
    if all(keeps) or not any(keeps):
        return None
    parts = (
        "".join(kept for kept, _ in run)
        for keep, run in groupby(zip(searched, keeps, strict=True), itemgetter(1))
        if keep
    )
    return "%" + "%".join(_NOT_LITERAL.sub(rf"{_ESCAPE}\g<0>", each) for each in parts) + "%"


def _words(text: str) -> str:
    """Return *text* as ``pg_trgm`` sees it: words in lower case, and all that is between them alike."""
    return _NO_WORD.sub(" ", text.lower())


def _some_texts(connection: Connection, tables: Tables) -> list[str]:
    """Return address and name of some of the oldest and of some of the newest users."""
    users = tables.users
    one = users.c.email.concat("\n").concat(users.c.name)
    found: list[str] = []
    for order in (users.c.id, users.c.id.desc()):
        found += connection.execute(select(one).order_by(order).limit(_SAMPLE)).scalars()
    return found
