"""What the stores of API keys share."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Update, or_, select, true

from czo_auth.core.api_keys.key import ApiKey
from czo_auth.storage.store import PRUNED_AT_ONCE, Store, columns, from_row


class ApiKeyRows(Store):
    """Conditions on the rows of API keys, and changes of many rows at once."""

    def _changed(self, condition: ColumnElement[bool], change: Update) -> Sequence[ApiKey]:
        """
        Change some of the rows that meet *condition*, which is checked again under each row's lock. They are locked in
        the order of their ids.
        """
        keys = self._tables.api_keys
        in_order = select(keys.c.id).where(condition).order_by(keys.c.id).with_for_update(key_share=True)
        batch = in_order.limit(PRUNED_AT_ONCE)
        statement = change.where(keys.c.id.in_(batch), condition).returning(*columns(keys, ApiKey))
        found = (from_row(ApiKey, row) for row in self._connection.execute(statement))
        return sorted(found, key=lambda key: key.id)

    def _is_owned_by(self, owner_id: str) -> ColumnElement[bool]:
        keys = self._tables.api_keys
        return or_(keys.c.user_id == owner_id, keys.c.service_account_id == owner_id)

    def _is_of(self, organization_id: str | None) -> ColumnElement[bool]:
        return (
            true() if organization_id is None else self._tables.api_keys.c.organization_id == organization_id
        )
