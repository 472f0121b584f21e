from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLNamedType, GraphQLObjectType, print_type

from czo_auth.graphql.schema import SCHEMA
from tests.graphql.deployment import Deployment

MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z")
NOBODY = "01890a5d-ac96-774b-bcce-b302099a8057"

CONTRACT = {
    "Query": """type Query {
  me: User!
  myApiKeys(
    organizationId: ID
    unusedSince: DateTime
  ): [ApiKey!]!
  mySessions: [Session!]!
  myOrganizations: [Organization!]!
  organization(id: ID!): Organization
}""",
    "ApiKey": "type ApiKey { id: ID! name: String! prefix: String! organizationId: ID scopes: [String!]! "
    "enabled: Boolean! expiresAt: DateTime lastUsedAt: DateTime createdAt: DateTime! "
    "allowedIps: [String!] rateLimitMax: Int rateLimitTimeWindow: Int "
    "useCount: Float! lastUsedIp: String quotaMax: Int quotaPeriod: String }",
    "User": "type User { id: ID! email: String! name: String! emailVerified: Boolean! image: String "
    "twoFactorEnabled: Boolean! actorTypes: [String!]! createdAt: DateTime! updatedAt: DateTime! "
    "ownFields: JSON! }",
    "Session": "type Session { id: ID! actorType: String! organizationId: ID aal: Int! amr: [String!]! "
    "createdAt: DateTime! expiresAt: DateTime! current: Boolean! ipAddress: String userAgent: String }",
    "Organization": "type Organization { id: ID! name: String! slug: String! role: String createdAt: DateTime! "
    "apiKeyMaxDays: Int apiKeyUnusedDays: Int requireTwoFactorFrom: DateTime twoFactorGraceDays: Int! "
    "serviceAccounts: [ServiceAccount!]! apiKeys( unusedSince: DateTime ): [OrganizationApiKey!]! }",
    "ServiceAccount": "type ServiceAccount { id: ID! organizationId: ID! name: String! description: String "
    "scopes: [String!]! enabled: Boolean! createdBy: ID createdAt: DateTime! lastUsedAt: DateTime }",
    "OrganizationApiKey": "type OrganizationApiKey { id: ID! name: String! prefix: String! owner: KeyOwner! "
    "createdBy: ID scopes: [String!]! enabled: Boolean! expiresAt: DateTime lastUsedAt: DateTime "
    "createdAt: DateTime! }",
}


def one_line(text: str) -> str:
    without_descriptions = re.sub(r'""".*?"""', "", text, flags=re.DOTALL)
    federation = re.sub(r"_(?:service|entities)\b[^\n]*", "", without_descriptions)
    return " ".join(federation.split())


def all_names() -> Iterator[str]:
    """Every name that the schema has: types, fields, arguments, values."""
    for name, kind in SCHEMA._schema.type_map.items():
        if name.startswith("__"):
            continue
        yield name
        if isinstance(kind, (GraphQLObjectType, GraphQLInputObjectType)):
            for field_name, field in kind.fields.items():
                yield field_name
                yield from getattr(field, "args", {})
        elif isinstance(kind, GraphQLEnumType):
            yield from kind.values


@pytest.mark.parametrize("name", CONTRACT)
def test_the_schema_is_the_one_of_the_contract(name: str) -> None:
    kind = SCHEMA._schema.type_map[name]
    assert isinstance(kind, GraphQLNamedType)
    assert one_line(print_type(kind)) == one_line(CONTRACT[name])


def test_nothing_can_be_changed_or_subscribed_to() -> None:
    assert SCHEMA._schema.mutation_type is None
    assert SCHEMA._schema.subscription_type is None


def test_no_name_in_the_schema_speaks_of_a_secret() -> None:
    secret = re.compile(
        r"password|hash|digest|secret|token|totp|backup|codes?$|cipher|sealed|^key$|plain", re.IGNORECASE
    )
    names = set(all_names())
    assert {"User", "prefix", "organizationId", "_entities"} <= names
    assert not {name for name in names if secret.search(name)}


async def test_federation_is_reported_the_keys(deployment: Deployment) -> None:
    person = await deployment.person("ada")
    sdl = (await deployment.data("{_service{sdl}}", person.token))["_service"]["sdl"]
    assert 'type User @key(fields: "id")' in sdl
    assert 'type Organization @key(fields: "id")' in sdl
    assert "https://specs.apollo.dev/federation/v2." in sdl


# --- what a session sees ---------------------------------------------------------------------------------------------
async def test_me_is_the_caller(each_deployment: Deployment) -> None:
    ada, _ = await each_deployment.person("ada"), await each_deployment.person("bob")
    me = (
        await each_deployment.data(
            "{me{id email name emailVerified image twoFactorEnabled actorTypes createdAt updatedAt}}",
            ada.token,
        )
    )["me"]
    assert MOMENT.fullmatch(me.pop("createdAt"))
    assert MOMENT.fullmatch(me.pop("updatedAt"))
    assert me == {
        "id": ada.id,
        "email": "ada@example.com",
        "name": "ada",
        "emailVerified": False,
        "image": None,
        "twoFactorEnabled": False,
        "actorTypes": ["customer"],
    }


async def test_me_is_what_rest_says(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    me = (
        await deployment.data(
            "{me{id email name emailVerified image twoFactorEnabled actorTypes createdAt updatedAt}}",
            ada.token,
        )
    )["me"]
    answer = await deployment.rest.get("/api/auth/session", headers={"authorization": f"Bearer {ada.token}"})
    assert me == answer.json()["user"]


async def test_my_sessions_are_mine_and_one_is_the_current(each_deployment: Deployment) -> None:
    ada, bob = await each_deployment.person("ada"), await each_deployment.person("bob")
    user = await each_deployment.transactions.read(lambda tx: tx.users.find(ada.id))
    assert user is not None
    other = await each_deployment.sign_in(user)
    document = (
        "{mySessions{id actorType organizationId aal amr createdAt expiresAt current ipAddress userAgent}}"
    )
    found = (await each_deployment.data(document, ada.token))["mySessions"]
    assert {session["id"]: session["current"] for session in found} == {
        ada.principal.session_id: True,
        other.principal.session_id: False,
    }
    assert bob.principal.session_id not in {session["id"] for session in found}
    [current] = [session for session in found if session["current"]]
    assert MOMENT.fullmatch(current.pop("createdAt"))
    assert MOMENT.fullmatch(current.pop("expiresAt"))
    assert current == {
        "id": ada.principal.session_id,
        "actorType": "customer",
        "organizationId": None,
        "aal": 1,
        "amr": ["pwd"],
        "current": True,
        "ipAddress": "192.0.2.7",
        "userAgent": "test",
    }


async def test_my_api_keys_come_without_the_key(each_deployment: Deployment) -> None:
    ada, bob = await each_deployment.person("ada"), await each_deployment.person("bob")
    organization = await each_deployment.organization(ada)
    own, scoped = await each_deployment.api_key(ada), await each_deployment.api_key(ada, organization)
    await each_deployment.api_key(bob)
    fields = "{id name prefix organizationId scopes enabled expiresAt lastUsedAt createdAt}"
    answer = await each_deployment.ask("{myApiKeys" + fields + "}", ada.token)
    found = answer.json()["data"]["myApiKeys"]
    assert own not in answer.text
    assert {key["prefix"] for key in found} == {own[:8], scoped[:8]}
    [key] = [key for key in found if key["prefix"] == scoped[:8]]
    assert MOMENT.fullmatch(key.pop("createdAt"))
    assert key.pop("id")
    assert key == {
        "name": "deploy",
        "prefix": scoped[:8],
        "organizationId": organization.id,
        "scopes": ["orders:read"],
        "enabled": True,
        "expiresAt": None,
        "lastUsedAt": None,
    }


@pytest.mark.parametrize("how", ["argument", "variable"])
async def test_my_api_keys_can_be_narrowed_to_an_organization(deployment: Deployment, how: str) -> None:
    ada = await deployment.person("ada")
    organization = await deployment.organization(ada)
    await deployment.api_key(ada)
    scoped = await deployment.api_key(ada, organization)
    if how == "argument":
        found = await deployment.data(
            f'{{myApiKeys(organizationId:"{organization.id}"){{prefix}}}}', ada.token
        )
    else:
        document = "query($id:ID){myApiKeys(organizationId:$id){prefix}}"
        found = await deployment.data(document, ada.token, variables={"id": organization.id})
        everything = await deployment.data(document, ada.token, variables={"id": None})
        assert len(everything["myApiKeys"]) == 2
    assert found == {"myApiKeys": [{"prefix": scoped[:8]}]}
    assert await deployment.data(f'{{myApiKeys(organizationId:"{NOBODY}"){{id}}}}', ada.token) == {
        "myApiKeys": []
    }


async def test_my_organizations_are_those_that_the_caller_is_in(each_deployment: Deployment) -> None:
    ada, bob = await each_deployment.person("ada"), await each_deployment.person("bob")
    acme = await each_deployment.organization(ada, "Acme")
    await each_deployment.organization(bob, "Bobs")
    [found] = (await each_deployment.data("{myOrganizations{id name slug role createdAt}}", ada.token))[
        "myOrganizations"
    ]
    assert MOMENT.fullmatch(found.pop("createdAt"))
    assert found == {"id": acme.id, "name": "Acme", "slug": acme.slug, "role": "owner"}


async def test_an_organization_that_is_not_mine_is_null_as_one_that_does_not_exist(
    each_deployment: Deployment,
) -> None:
    ada, bob = await each_deployment.person("ada"), await each_deployment.person("bob")
    acme, bobs = (
        await each_deployment.organization(ada, "Acme"),
        await each_deployment.organization(bob, "Bobs"),
    )
    document = "query($id:ID!){organization(id:$id){id role}}"
    own = await each_deployment.data(document, ada.token, variables={"id": acme.id})
    assert own == {"organization": {"id": acme.id, "role": "owner"}}
    for id in (bobs.id, NOBODY, "x", "", "\u2028"):
        assert await each_deployment.data(document, ada.token, variables={"id": id}) == {"organization": None}


# --- what an API key sees --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("field", ["mySessions", "myApiKeys"])
async def test_an_api_key_never_sees_sessions_or_keys(each_deployment: Deployment, field: str) -> None:
    ada = await each_deployment.person("ada")
    answer = await each_deployment.ask(f"{{{field}{{id}}}}", await each_deployment.api_key(ada))
    assert answer.status_code == 200
    body = answer.json()
    assert body["data"] is None
    [error] = body["errors"]
    assert error["extensions"] == {"code": "SESSION_REQUIRED"}
    assert error["path"] == [field]


async def test_an_api_key_sees_its_owner_and_their_organizations(each_deployment: Deployment) -> None:
    ada = await each_deployment.person("ada")
    acme = await each_deployment.organization(ada)
    seen = await each_deployment.data("{me{id} myOrganizations{id}}", await each_deployment.api_key(ada))
    assert seen == {"me": {"id": ada.id}, "myOrganizations": [{"id": acme.id}]}


async def test_a_scoped_api_key_acts_in_its_organization_only(each_deployment: Deployment) -> None:
    ada = await each_deployment.person("ada")
    acme, other = (
        await each_deployment.organization(ada, "Acme"),
        await each_deployment.organization(ada, "Other"),
    )
    key = await each_deployment.api_key(ada, acme)
    assert await each_deployment.data("{myOrganizations{id}}", key) == {"myOrganizations": [{"id": acme.id}]}
    document = "query($id:ID!){organization(id:$id){id}}"
    assert await each_deployment.data(document, key, variables={"id": acme.id}) == {
        "organization": {"id": acme.id}
    }
    answer = await each_deployment.ask(document, key, variables={"id": other.id})
    assert answer.status_code == 200
    assert answer.json()["data"] == {"organization": None}
    [error] = answer.json()["errors"]
    assert error["extensions"] == {"code": "ORGANIZATION_SCOPE_MISMATCH"}


async def test_a_revoked_key_is_refused_at_once(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    key = await deployment.api_key(ada)
    await deployment.data("{me{id}}", key)
    [listed] = (await deployment.data("{myApiKeys{id}}", ada.token))["myApiKeys"]
    now = deployment.auth.now() + timedelta(milliseconds=1)
    assert await deployment.transactions.run(
        lambda tx: tx.api_keys.revoke(listed["id"], reason="test", now=now)
    )
    answer = await deployment.ask("{me{id}}", key)
    assert (answer.status_code, answer.json()["code"]) == (401, "INVALID_API_KEY")


# --- federation ------------------------------------------------------------------------------------------------------
ENTITIES = """query($them: [_Any!]!) {
  _entities(representations: $them) { __typename ... on User { id email } ... on Organization { id role } }
}"""


async def test_entities_are_the_callers_own_and_null_otherwise(each_deployment: Deployment) -> None:
    ada, bob = await each_deployment.person("ada"), await each_deployment.person("bob")
    acme, bobs = (
        await each_deployment.organization(ada, "Acme"),
        await each_deployment.organization(bob, "Bobs"),
    )
    asked = [
        {"__typename": "User", "id": bob.id},
        {"__typename": "Organization", "id": acme.id},
        {"__typename": "User", "id": ada.id, "email": "bob@example.com"},
        {"__typename": "Organization", "id": bobs.id},
        {"__typename": "Organization", "id": NOBODY},
        {"__typename": "Organization", "id": ada.id},
        {"__typename": "User", "id": acme.id},
    ]
    found = await each_deployment.data(ENTITIES, ada.token, variables={"them": asked})
    assert found["_entities"] == [
        None,
        {"__typename": "Organization", "id": acme.id, "role": "owner"},
        {"__typename": "User", "id": ada.id, "email": "ada@example.com"},
        None,
        None,
        None,
        None,
    ]


async def test_entities_that_make_no_sense_are_null(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    odd: list[object] = [
        1,
        "User",
        [],
        {},
        {"__typename": "User"},
        {"__typename": "ApiKey", "id": ada.id},
        {"__typename": "Session", "id": ada.principal.session_id},
        {"__typename": "Query", "id": "x"},
        {"__typename": ["User"], "id": ada.id},
        {"__typename": "User", "id": [ada.id]},
        {"__typename": "User", "id": 1},
        {"id": ada.id},
    ]
    found = await deployment.data(ENTITIES, ada.token, variables={"them": odd})
    assert found["_entities"] == [None] * len(odd)


async def test_entities_through_a_scoped_api_key_are_those_that_it_may_see(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    acme, other = await deployment.organization(ada, "Acme"), await deployment.organization(ada, "Other")
    asked = [{"__typename": "Organization", "id": id} for id in (acme.id, other.id)]
    found = await deployment.data(ENTITIES, await deployment.api_key(ada, acme), variables={"them": asked})
    assert found["_entities"] == [{"__typename": "Organization", "id": acme.id, "role": "owner"}, None]
