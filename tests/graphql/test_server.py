from __future__ import annotations

import asyncio

import httpx

from czo_auth.crypto.sealing import new_key_text
from tests.conftest import StartServer
from tests.graphql.test_limits import BOMBS
from tests.support.server import RunningServer

PASSWORD = "a long enough sentence 7"
SECRET = "hunter2-5f1c"


def sign_in(server: RunningServer) -> str:
    """Sign somebody up and in; gives the access token."""
    with httpx.Client(base_url=f"{server.url}/api/auth", trust_env=False) as client:
        person = {"email": "ada@example.com", "password": PASSWORD}
        assert client.post("/customer/sign-up", json={**person, "name": "Ada"}).status_code == 201
        token = client.post("/customer/sign-in/email", json=person).json()["accessToken"]
    assert isinstance(token, str)
    return token


def ask(server: RunningServer, query: str, token: str | None) -> httpx.Response:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    return httpx.post(f"{server.url}/graphql", json={"query": query}, headers=headers, trust_env=False)


def cpu_seconds(server: RunningServer) -> float:
    """Add up what the server's processes used; a busy machine does not count."""
    times = [process.cpu_times() for process in server.processes]
    return sum(each.user + each.system for each in times)


def test_the_server_answers_graphql_and_writes_nothing_of_it(
    start_server: StartServer, database_url: str
) -> None:
    server = start_server(
        env={
            "CZO_AUTH_ENVIRONMENT": "production",
            "CZO_AUTH_BASE_URL": "https://auth.example",
            "AUTH_ENCRYPTION_KEY": new_key_text(),
        },
        database_url=database_url,
    )
    assert ask(server, "{me{id}}", None).status_code == 401
    token = sign_in(server)
    assert ask(server, "{me{email}}", token).json() == {"data": {"me": {"email": "ada@example.com"}}}
    assert ask(server, f'{{organization(id:"{SECRET}"){{id}}}}', token).json() == {
        "data": {"organization": None}
    }
    assert ask(server, "{__schema{queryType{name}}}", token).status_code == 400
    refused = httpx.get(f"{server.url}/graphql", params={"query": "{me{id}}"}, trust_env=False)
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    before = cpu_seconds(server)
    assert ask(server, BOMBS["845 bytes"], token).status_code == 400
    assert cpu_seconds(server) - before < 1
    assert ask(server, f'{{me "{SECRET}"}}', token).status_code == 400
    server.stop()
    written = server.output()
    for hidden in (SECRET, token, PASSWORD):
        assert hidden not in written


def test_first_requests_at_once_are_all_answered(start_server: StartServer) -> None:
    server = start_server()
    token = sign_in(server)

    async def at_once() -> list[int]:
        async with httpx.AsyncClient(trust_env=False) as client:
            headers = {"authorization": f"Bearer {token}"}
            asked = [
                client.post(f"{server.url}/graphql", json={"query": "{me{id}}"}, headers=headers)
                for _ in range(8)
            ]
            return [answer.status_code for answer in await asyncio.gather(*asked)]

    assert asyncio.run(at_once()) == [200] * 8
