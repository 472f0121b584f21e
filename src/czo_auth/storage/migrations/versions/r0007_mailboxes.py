"""
Keep addresses as they were typed, and bring back those that full case folding changed where that is certain.

Revision: 0007, on top of 0006. Folding made a medial sigma of the final one at the end of a Greek word, and capital
letters of Cherokee. What it made of ß and of ligatures can be read in two ways: such users get their address back when
they sign in with it (`czo-auth users list --folded` names them).
"""

from __future__ import annotations

import re

import sqlalchemy as sa
from alembic import context, op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_FINAL_SIGMA = re.compile(r"(?<=\w)σ(?!\w)")
_AT_ONCE = 1000


def upgrade() -> None:
    tables = context.config.attributes["tables"]
    op.add_column(tables.users.name, sa.Column("mailbox", sa.Text()))
    _restore(tables.users.name, is_unique=True)
    _restore(tables.invitations.name, is_unique=False)
    _restore(tables.mail_tokens.name, is_unique=False)


def _restore(name: str, *, is_unique: bool) -> None:
    table = sa.table(name, sa.column("id", sa.String()), sa.column("email", sa.Text()))
    connection, after = op.get_bind(), ""
    while True:
        page = (
            sa.select(table.c.id, table.c.email)
            .where(table.c.id > after)
            .order_by(table.c.id)
            .limit(_AT_ONCE)
        )
        rows = connection.execute(page).all()
        if not rows:
            return
        after = rows[-1].id
        for row in rows:
            restored = as_typed(row.email)
            if restored == row.email:
                continue
            taken = sa.select(table.c.id).where(table.c.email == restored)
            if is_unique and connection.execute(taken).first() is not None:
                continue
            connection.execute(sa.update(table).where(table.c.id == row.id).values(email=restored))


def as_typed(email: str) -> str:
    """Return the canonical form of the address that was folded into *email*, where there is one answer."""
    local, _, domain = email.rpartition("@")
    if local.isascii():
        return email
    return f"{_FINAL_SIGMA.sub('ς', local.lower())}@{domain}"
