"""What must hold in a database whenever nobody is writing: no half of anything, and all that was acknowledged."""

from __future__ import annotations

from czo_auth.core.events.chain import verify_chain
from czo_auth.storage import open_storage
from tests.contract.database import is_sqlite, sql
from tests.faults.users import Memory

PAIRS = {
    "a user and the event of it": (
        "SELECT id, 1 FROM {}users",
        "SELECT user_id, count(*) FROM {}events WHERE type = 'auth.user.registered' GROUP BY user_id",
    ),
    "a session and the event of it": (
        "SELECT user_id, count(*) FROM {}sessions GROUP BY user_id",
        "SELECT user_id, count(*) FROM {}events WHERE type = 'auth.session.created' GROUP BY user_id",
    ),
    "the end of a session and the event of it": (
        "SELECT user_id, count(*) FROM {}sessions WHERE revoked_at IS NOT NULL GROUP BY user_id",
        "SELECT user_id, count(*) FROM {}events WHERE type = 'auth.session.revoked' GROUP BY user_id",
    ),
    "a backup code that is used and its session": (
        "SELECT user_id, count(*) FROM {}backup_codes WHERE used_at IS NOT NULL GROUP BY user_id",
        "SELECT user_id, count(*) FROM {}sessions WHERE amr = 'pwd bkp' GROUP BY user_id",
    ),
    "a backup code that is used and the event of it": (
        "SELECT user_id, count(*) FROM {}backup_codes WHERE used_at IS NOT NULL GROUP BY user_id",
        "SELECT user_id, count(*) FROM {}events WHERE type = 'auth.2fa.backup_code_used' GROUP BY user_id",
    ),
    "a challenge that is spent and its session": (
        "SELECT user_id, count(*) FROM {}challenges WHERE consumed_at IS NOT NULL GROUP BY user_id",
        # The session that the enrollment renewed has a second factor, and had no challenge.
        "SELECT user_id, count(*) - 1 FROM {}sessions WHERE aal = 2 GROUP BY user_id HAVING count(*) > 1",
    ),
    "a factor and the event of it": (
        "SELECT user_id, 1 FROM {}factors",
        "SELECT user_id, count(*) FROM {}events WHERE type = 'auth.2fa.enabled' GROUP BY user_id",
    ),
    "a factor and its ten codes": (
        "SELECT user_id, 10 FROM {}factors",
        "SELECT user_id, count(*) FROM {}backup_codes WHERE activated_at IS NOT NULL GROUP BY user_id",
    ),
    "a key and the event of it": (
        "SELECT user_id, count(*) FROM {}api_keys GROUP BY user_id",
        (
            "SELECT user_id, count(*) FROM {}events WHERE type IN ('auth.apikey.created', 'auth.apikey.rotated')"
            " GROUP BY user_id"
        ),
    ),
    "the rotation of a key and its successor": (
        "SELECT user_id, count(*) FROM {}api_keys WHERE rotated_at IS NOT NULL GROUP BY user_id",
        "SELECT user_id, count(*) FROM {}events WHERE type = 'auth.apikey.rotated' GROUP BY user_id",
    ),
    "the revocation of a key and the event of it": (
        "SELECT user_id, count(*) FROM {}api_keys WHERE revoked_at IS NOT NULL GROUP BY user_id",
        "SELECT user_id, count(*) FROM {}events WHERE type = 'auth.apikey.revoked' GROUP BY user_id",
    ),
    "a member and the event of it": (
        "SELECT organization_id, count(*) FROM {}members GROUP BY organization_id",
        (
            "SELECT id, (SELECT count(*) FROM {}invitations i WHERE i.organization_id = o.id"
            " AND i.status = 'accepted') + 1 FROM {}organizations o"
        ),
    ),
}
"""Two questions with the same answer: rows of an id and a number, in any order."""

EMPTY = {
    "a refresh family without exactly one live leaf": "SELECT session_id FROM {}refresh_tokens GROUP BY session_id"
    " HAVING sum(CASE WHEN replaced_at IS NULL THEN 1 ELSE 0 END) <> 1",
    "a session without a refresh family": "SELECT id FROM {}sessions WHERE id NOT IN"
    " (SELECT session_id FROM {}refresh_tokens)",
    "an event that is not in the audit log": "SELECT id FROM {}events WHERE id NOT IN (SELECT id FROM {}audit)",
    "a factor whose enrollment is still pending": "SELECT user_id FROM {}factors WHERE user_id IN"
    " (SELECT user_id FROM {}enrolments)",
    "a parked event": "SELECT id FROM {}parked_events",
}
"""Questions without an answer."""


async def faults_of(url: str, memory: Memory) -> list[str]:
    """Look for whatever is half done, or was acknowledged and is gone; gives one sentence for each."""
    found = []
    if is_sqlite(url):
        (answer,) = await sql(url, "PRAGMA integrity_check")
        found += [] if answer == ("ok",) else [f"the file is broken: {answer}"]
        found += [f"refers to nothing: {row}" for row in await sql(url, "PRAGMA foreign_key_check")]
    for what, (left, right) in PAIRS.items():
        one, other = set(await sql(url, left)), set(await sql(url, right))
        found += [f"half of {what}: {row}" for row in one ^ other]
    for what, question in EMPTY.items():
        found += [f"{what}: {row}" for row in await sql(url, question)]
    return found + await losses_of(url, memory)


async def losses_of(url: str, memory: Memory) -> list[str]:
    """Look for what was acknowledged and is gone, and for a break in the audit log; whatever else users did."""
    return await _chain(url) + await _forgotten(url, memory)


async def _chain(url: str) -> list[str]:
    storage = open_storage(url)
    try:
        records = await storage.transactions.read(lambda tx: tx.audit_log.audit_after(0, limit=1_000_000))
    finally:
        await storage.close()
    broken = verify_chain(records)
    return [] if broken is None else [f"the audit log is broken: {broken}"]


async def _forgotten(url: str, memory: Memory) -> list[str]:
    """Name what was acknowledged and is not there."""
    users = {row[0] for row in await sql(url, "SELECT id FROM {}users")}
    sessions = {row[0] for row in await sql(url, "SELECT id FROM {}sessions WHERE revoked_at IS NULL")}
    keys = {
        row[0]: (row[1], row[2])
        for row in await sql(url, "SELECT id, revoked_at, rotated_at FROM {}api_keys")
    }
    members = set(await sql(url, "SELECT organization_id, user_id FROM {}members"))
    factors = {row[0] for row in await sql(url, "SELECT user_id FROM {}factors")}
    used = dict(
        await sql(
            url,
            "SELECT user_id, count(*) FROM {}backup_codes WHERE used_at IS NOT NULL GROUP BY user_id",
        )
    )
    found = [f"a user is forgotten: {user}" for user in memory.users - users]
    found += [f"a session is forgotten: {session}" for session in memory.sessions.keys() - sessions]
    found += [f"a member is forgotten: {member}" for member in memory.members - members]
    found += [f"a factor is forgotten: {user}" for user in memory.factors - factors]
    for key, lives in memory.keys.values():
        if key not in keys:
            found.append(f"a key is forgotten: {key}")
        elif lives is not (keys[key] == (None, None)):
            found.append(f"a key is not what was said: {key} {keys[key]}")
    found += [
        f"codes are fresh again: {user}"
        for user, count in memory.backup_codes.items()
        if used.get(user, 0) < count
    ]
    return found
