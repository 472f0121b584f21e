"""
What the product does when something under it fails (S30 to S34), black box: real server processes and databases.

| file | fault |
| --- | --- |
| `test_kills` | `kill -9` of the whole server or of one worker at random moments under load |
| `test_outages` | the database locked, full, frozen, restarted, its connections cut, its role read-only, while a crowd writes |
| `test_shared_limits` | Redis (a real Valkey) gone, frozen, emptied |
| `test_clock` | the clock of a server with two workers set back and forth by an hour (libfaketime) |

`make test` runs all of it with few kills; `make faults` kills each of the three deployments (SQLite with one and four
workers, PostgreSQL with four) 67 times.
"""
