"""
What the product does when something under it fails (S30 to S34), black box: real server processes and databases.

| file | fault |
| --- | --- |
| `test_kills` | `kill -9` of the whole server or of one worker at random moments under load |
| `test_outages` | the database locked, full, frozen, restarted, its connections cut, while a crowd writes |
| `test_shared_limits` | Redis (a real Valkey) gone, frozen, emptied |
| `test_clock` | the clock of a server with two workers set back and forth by an hour (libfaketime) |
| `test_migrations` | `czo-auth migrate` killed at random moments; several servers that start together |
| `test_sinks` | the events' way out blocked, and an event that the sink cannot take |
| `test_keys` | the encryption key missing, wrong, or taken out of the ring too early; a sealed row flipped |

`make test` has two kills of each deployment and a quick part of the rest; `make faults` runs all of it and kills each
of the three deployments (SQLite with one and four workers, PostgreSQL with four) 67 times, and the migration of each
database 20 times. `FAULT_KILLS` and `FAULT_MIGRATIONS` choose other numbers, `FAULT_SEED` the same moments again.

After each kill `books` searches the database for halves of anything and for what was acknowledged and is gone; that it
would notice is tested by `test_books`. What a run of `make faults TEST_ARGS=-s` prints are its figures: kills,
acknowledged writes, and requests that were not answered and made again.
"""
