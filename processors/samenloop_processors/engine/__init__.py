"""The engine: Faust for the group, PostgreSQL for the truth. A stage sees `api` and nothing else of it."""
