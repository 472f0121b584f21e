"""The schemas of what answers hold: one for each shape in ``rest.shapes`` and its like, with nothing left open."""

from __future__ import annotations

from typing import Final

from czo_auth.core.organizations import roles
from czo_auth.rest import records
from czo_auth.rest.records import Schema, base

TEXT: Final[Schema] = {"type": "string"}
ID: Final[Schema] = base.ID
TIME: Final[Schema] = base.TIME
FLAG: Final[Schema] = {"type": "boolean"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
OBJECT: Final[Schema] = {"type": "object"}
NULL: Final[Schema] = {"type": "null"}
TRUE: Final[Schema] = {"const": True}
JWT: Final[Schema] = {"type": "string", "pattern": r"^[\w-]+\.[\w-]+\.[\w-]+$"}
SIGNING_SECRET: Final[Schema] = {"type": "string", "pattern": "^whsec_[A-Za-z0-9+/]{43}=$"}
ROLE: Final[Schema] = {"enum": list(roles.RANK)}

components: dict[str, Schema] = {}
"""Every named record, by its name."""


def token(prefix: str) -> Schema:
    """Describe an opaque token."""
    return {"type": "string", "pattern": f"^{prefix}[A-Za-z0-9_-]{{43}}$"}


def optional(schema: Schema) -> Schema:
    """Let it be null too."""
    return {"anyOf": [schema, NULL]}


def each(schema: Schema) -> Schema:
    """Describe a list."""
    return {"type": "array", "items": schema}


def plain(optionals: dict[str, Schema] | None = None, /, **fields: Schema) -> Schema:
    """Describe an object with exactly these *fields*; those of *optionals* may be missing."""
    return {
        "type": "object",
        "properties": {**fields, **(optionals or {})},
        "required": list(fields),
        "additionalProperties": False,
    }


def listed(name: str, schema: Schema) -> Schema:
    """Describe the answer of a list: the records, the number of all of them, and where the next page begins."""
    return plain({"nextCursor": optional(TEXT)}, **{name: each(schema), "total": COUNT})


def record(name: str, optionals: dict[str, Schema] | None = None, /, **fields: Schema) -> Schema:
    """Name such an object; returns the reference to it."""
    components[name] = plain(optionals, **fields)
    return {"$ref": f"#/components/schemas/{name}"}


def described(model: type[records.Record]) -> Schema:
    """Describe a record of the routes by its model; returns the reference to it."""
    components.update(records.schemas_of(model))
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _fields_of(reference: Schema) -> dict[str, Schema]:
    found: dict[str, Schema] = components[reference["$ref"].rpartition("/")[2]]["properties"]
    return found


USER = described(records.User)
SESSION = described(records.Session)
CLIENT_SESSION = described(records.ClientSession)
SIGNED_IN = record(
    "SignedIn",
    {"verified": TRUE},
    requires2FA={"const": False},
    requires2FASetup=FLAG,
    user=USER,
    session=SESSION,
    accessToken=JWT,
    refreshToken=token("czr_"),
    expiresIn=COUNT,
    tokenType={"const": "Bearer"},
    token=ID,
    redirect=FLAG,
)
METHODS: Final[Schema] = each({"enum": ["passkey", "totp", "backup-code"]})
SECOND_FACTOR_REQUIRED = record(
    "SecondFactorRequired",
    requires2FA=TRUE,
    twoFactorRedirect=TRUE,
    twoFactorMethods=METHODS,
    challenge=token("czc_"),
    expiresAt=TIME,
)
_PASSKEY: Final[dict[str, Schema]] = {
    "id": ID,
    "name": optional(TEXT),
    "credentialID": TEXT,
    "userId": ID,
    "aaguid": ID,
    "deviceType": {"enum": ["singleDevice", "multiDevice"]},
    "backedUp": FLAG,
    "transports": TEXT,
    "createdAt": TIME,
    "lastUsedAt": optional(TIME),
}
PASSKEY = record("Passkey", **_PASSKEY)
REGISTERED_PASSKEY = record(
    "RegisteredPasskey", {**_fields_of(SIGNED_IN), "backupCodes": each(TEXT)}, **_PASSKEY
)
_DESCRIPTOR = plain({"transports": each(TEXT)}, id=TEXT, type={"const": "public-key"})
REQUEST_OPTIONS = record(
    "PasskeyRequestOptions",
    {"allowCredentials": each(_DESCRIPTOR)},
    challenge=TEXT,
    timeout=COUNT,
    rpId=TEXT,
    userVerification={"const": "required"},
    ceremony=token("czw_"),
)
CREATION_OPTIONS = record(
    "PasskeyCreationOptions",
    rp=plain(name=TEXT, id=TEXT),
    user=plain(id=TEXT, name=TEXT, displayName=TEXT),
    challenge=TEXT,
    pubKeyCredParams=each(plain(type={"const": "public-key"}, alg={"enum": [-7, -8, -257]})),
    timeout=COUNT,
    excludeCredentials=each(_DESCRIPTOR),
    authenticatorSelection=plain(
        {"authenticatorAttachment": {"enum": ["platform", "cross-platform"]}},
        residentKey={"const": "preferred"},
        requireResidentKey=FLAG,
        userVerification={"const": "required"},
    ),
    attestation={"const": "none"},
    extensions=OBJECT,
    ceremony=token("czw_"),
)
CLIENT_ORGANIZATION = record(
    "ClientOrganization",
    id=ID,
    name=TEXT,
    slug=optional(TEXT),
    logo=optional(TEXT),
    metadata=optional(OBJECT),
    createdAt=TIME,
)
ORGANIZATION = described(records.Organization)
MEMBER = described(records.Member)
INVITATION = record(
    "Invitation",
    id=ID,
    organizationId=ID,
    email=TEXT,
    role=ROLE,
    status={"enum": ["pending", "accepted", "rejected", "canceled", "expired"]},
    inviterId=optional(ID),
    expiresAt=TIME,
    createdAt=TIME,
)
RECEIVED_INVITATION = record(
    "ReceivedInvitation",
    **_fields_of(INVITATION),
    organizationName=TEXT,
    organizationSlug=optional(TEXT),
    inviterEmail=TEXT,
)
TRUSTED_DEVICE = record(
    "TrustedDevice",
    id=ID,
    userAgent=optional(TEXT),
    ipAddress=optional(TEXT),
    createdAt=TIME,
    lastUsedAt=TIME,
    expiresAt=TIME,
)
RESET = record("Reset", id=ID, askedAt=TIME, dueAt=TIME)
ADMINISTERED_RESET = record(
    "AdministeredReset", **_fields_of(RESET), userId=ID, askedBy=optional(TEXT), reason=TEXT
)
WEBHOOK = record(
    "Webhook",
    id=ID,
    url=TEXT,
    events=each(TEXT),
    description=optional(TEXT),
    enabled=FLAG,
    disabledReason=optional({"enum": ["dead", "operator"]}),
    createdAt=TIME,
)
WEBHOOK_DELIVERY = record(
    "WebhookDelivery",
    id=ID,
    eventId=ID,
    type=TEXT,
    attempts=COUNT,
    status={"enum": ["pending", "delivered", "dead"]},
    responseStatus=optional(COUNT),
    error=optional(TEXT),
    createdAt=TIME,
    nextAt=optional(TIME),
)
AUDIT_RECORD = record(
    "AuditRecord",
    id=ID,
    sequence=COUNT,
    at=TIME,
    action=TEXT,
    outcome={"enum": ["success", "failure", "denied"]},
    actorKind={"enum": ["anonymous", "user", "api_key", "operator", "system"]},
    actorUserId=optional(ID),
    userId=optional(ID),
    organizationId=optional(ID),
    method=optional(TEXT),
    ip=optional(TEXT),
    userAgent=optional(TEXT),
    requestId=optional(TEXT),
    details=OBJECT,
    hash=TEXT,
)
