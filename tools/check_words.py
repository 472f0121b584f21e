"""
Refuse names that are no longer used, and words that are always wrong.

Looks at every tracked source and documentation file, except the changelog. Prose is read by people; this list has only
what is never right. The names in use are explained in docs/glossary.md.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from tools.check_tree import tree_files  # noqa: E402 - found from wherever this is run

ENDINGS = (".py", ".md", ".toml", ".html", ".mjs", ".js", ".yml", ".yaml", ".sh", ".service", ".conf")
# Old migrations and fixtures stay as they were, reference pages are written from the code, and this file names it all.
EXEMPT = (
    "src/czo_auth/storage/migrations/versions/",
    "docs/reference/",
    "tests/fixtures/",
    # History keeps the names of its time.
    "CHANGELOG.md",
    # Other languages have those words too.
    "src/czo_auth/translations/de.toml",
    "src/czo_auth/translations/fr.toml",
    "tools/check_words.py",
    "tests/tools/test_check_words.py",
)

NAMES = {
    "door_of": "build_app_state",
    "Provenance": "Context",
    "ReadJournal": "ReadAuditLog",
    "SqlJournal": "SqlAuditLog",
    "ProvedCredentials": "CredentialCache",
    "key_fact": "key_event",
    "left_to_parent": "inherited",
    "prove_code": "verify_code",
    "ProveCode": "VerifyCode",
    "ProvedCode": "VerifiedCode",
    "RecentProof": "Reauthentication",
    "SpendProof": "ConsumeCode",
    "found_organization": "create_organization",
    "key_life": "key_expiry",
    "KeyLife": "KeyExpiry",
    "guarded_keys": "restrictions",
    "KeyGuard": "KeyRestrictions",
    "call_off": "cancel_reset",
    "hold_lock": "acquire_lock",
    "hold_organization": "lock_organization",
    "RateLimitWish": "RateLimitUpdate",
    "NamedBy": "MemberKey",
    "moment_or_none": "format_timestamp_or_none",
    "czo_auth_answers_total": "czo_auth_requests_total",
    "sqlite_lane": "sqlite_worker",
    "open_town": "open_deployment",
    "two_doors": "two_deployments",
    "Sighting": "LeakReport",
    "SqliteLane": "SqliteWorker",
    "BehindTheClock": "ExpiredCode",
    "CannotFoundOrganization": "OrganizationCreationNotAllowed",
    "OwnReset": "CannotResetOwnFactor",
    "ResetAlreadyWaits": "ResetAlreadyPending",
    "OpenedElsewhere": "OpenedInAnotherSession",
    "Narrator": "StepPrinter",
    "StageFault": "ServerFailed",
    "KnownUser": "SourceUser",
    "KnownTotp": "SourceTotp",
    "KnownPasskey": "SourcePasskey",
    "KnownApiKey": "SourceApiKey",
    "KnownAccount": "SourceAccount",
    "KnownOrganization": "SourceOrganization",
    "Brought": "ImportResult",
    "bring_account": "import_account",
    "bring_organization": "import_organization",
    "FairStart": "StartQueue",
    "fair_start": "start_queue",
    "OwnCounters": "LocalCounters",
    "own_counters": "local_counters",
    "EqualWork": "UniformVerifier",
    "NoWordOnTheSchema": "RefuseSchemaFields",
    "NeverStored": "ResponseHeaders",
    "ProvedCredential": "VerifiedCredential",
    "NotAsked": "NoUsableAnswer",
    "PASSED_OVER": "SKIPPED_SECRETS",
    "EnteredAnswer": "SignInAnswer",
    "end_what_was_before": "end_earlier_access",
    "foresee_own": "preview_own_deletion",
    "erase_from_parked_events": "erase_from_dead_letters",
    "_how_many": "_count_up_to",
    "saw_refused": "count_refusal",
    "RecordedOnce": "RecordThrottle",
    "forget_proofs": "reset_proof_budget",
    "keep_an_owner": "check_not_last_owner",
    "would_be_due": "requires_factor_now",
    "verified_elsewhere": "verify_for_introspection",
    "SwitchOffDead": "DisableDeadEndpoints",
    "ProvedRequest": "RequestWithProof",
    "SINGLE_GUESSES": "SOURCE_GUESSES",
    "usual_payload": "payload_prefix",
    "LAST_WRITES": "SHUTDOWN_FLUSH_TIMEOUT",
    "compose_notices_of_made_keys": "compose_notices_of_created_keys",
    "acting_owners": "unbanned_owners",
    "sealing_store": "key_checks",
    "draw_key": "generate_key",
    "readers_of": "recipients_of",
    "tell_creation": "notify_of_creation",
    "tell_owner": "mail_notice",
    "tell_owner_by_id": "mail_notice_by_id",
    "BEAT_SECONDS": "RESPONSE_INTERVAL_SECONDS",
    "shorten_lives": "shorten_lifetimes",
    "lets_more_pass": "is_looser",
    "stand_ins": "replacements",
    "DatedHolders": "ActorTypeDeadlines",
    "dated_holders": "actor_type_deadlines",
}
"""Names that are no longer used, with their replacements."""

PATTERNS = {
    r"\bprovenance *[=:]|\.provenance\b": "the name is context",
    r"\b_?(?:MOST|LONGEST|LARGEST|DEEPEST)_[A-Z]+": "a bound is MAX_…",
    r"\b\w*_enrolment|\b[Ee]nrolment_\w*|\bEnrolment\w*": "the spelling is enrollment",
    r"\breseal\w*|\bReseal\w*": "the word is reencrypt",
    r"\b(?:\w+_)?(?:doors?|hats?|whoever|anew)_\w+": "the word is refused in prose too",
    r"\b\w+_(?:doors?|hats?|whoever|anew)\b": "the word is refused in prose too",
}
WORDS = {
    "hat": "actor type",
    "hats": "actor types",
    "door": "route, endpoint or API",
    "doors": "routes, endpoints or APIs",
    "whoever": "anyone who, a caller who",
    "anew": "again",
}

_NAMES = re.compile(r"\b(" + "|".join(NAMES) + r")\b")
_WORDS = re.compile(r"\b(" + "|".join(WORDS) + r")\b", re.IGNORECASE)
_PATTERNS = [(re.compile(pattern), advice) for pattern, advice in PATTERNS.items()]
# A table keeps its name, and so do names derived from it.
_PERSISTED = re.compile(r"czo_auth_enrolments?|\{prefix\}enrolments?|[\"']enrolments?[\"']")


def faults(line: str) -> Iterator[str]:
    """Return the faults in the words of one *line*."""
    line = _PERSISTED.sub("", line)
    for found in _NAMES.finditer(line):
        yield f"{found[0]!r}: use {NAMES[found[0]]}"
    for found in _WORDS.finditer(line):
        yield f"{found[0]!r}: say {WORDS[found[0].lower()]}"
    for pattern, advice in _PATTERNS:
        for found in pattern.finditer(line):
            yield f"{found[0]!r}: {advice}"


def main(root: Path) -> int:
    """Print every fault of the tree at *root*; the result is the exit status."""
    count = 0
    for name in tree_files(root):
        path = root / name
        if not name.endswith(ENDINGS) or name.startswith(EXEMPT):
            continue
        if not path.is_file():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            for fault in faults(line):
                print(f"{name}:{number}: {fault}")
                count += 1
    print(f"check_words: {count} faults" if count else "check_words: every word is in use")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(ROOT))
