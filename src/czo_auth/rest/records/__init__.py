"""What answers hold, one model a kind: routes answer with them, the command line prints them."""

from __future__ import annotations

from czo_auth.rest.records.api_keys import (
    ApiKey,
    ApiKeyAnswer,
    ApiKeyList,
    ApiKeyVerdict,
    ClientApiKey,
    ClientApiKeyList,
    CreatedApiKey,
    CreatedApiKeyAnswer,
    DayUsage,
    KeyUsage,
    OwnedApiKey,
    OwnedApiKeyList,
    VerifiedApiKey,
)
from czo_auth.rest.records.base import Json, Record, Schema, schemas_of
from czo_auth.rest.records.service_accounts import (
    ActingApiKey,
    ActingApiKeyList,
    CreatedOrganizationApiKey,
    CreatedOrganizationApiKeyAnswer,
    ServiceAccount,
    ServiceAccountAnswer,
    ServiceAccountList,
)
from czo_auth.rest.records.sessions import (
    ClientSession,
    CurrentSession,
    ListedSession,
    Principal,
    Session,
    SessionAnswer,
    SessionList,
    SessionPage,
)
from czo_auth.rest.records.users import (
    AdministeredUser,
    AdministeredUserAnswer,
    AdministeredUserList,
    User,
)

__all__ = [
    "ActingApiKey",
    "ActingApiKeyList",
    "AdministeredUser",
    "AdministeredUserAnswer",
    "AdministeredUserList",
    "ApiKey",
    "ApiKeyAnswer",
    "ApiKeyList",
    "ApiKeyVerdict",
    "ClientApiKey",
    "ClientApiKeyList",
    "ClientSession",
    "CreatedApiKey",
    "CreatedApiKeyAnswer",
    "CreatedOrganizationApiKey",
    "CreatedOrganizationApiKeyAnswer",
    "CurrentSession",
    "DayUsage",
    "Json",
    "KeyUsage",
    "ListedSession",
    "OwnedApiKey",
    "OwnedApiKeyList",
    "Principal",
    "Record",
    "Schema",
    "ServiceAccount",
    "ServiceAccountAnswer",
    "ServiceAccountList",
    "Session",
    "SessionAnswer",
    "SessionList",
    "SessionPage",
    "User",
    "VerifiedApiKey",
    "schemas_of",
]
