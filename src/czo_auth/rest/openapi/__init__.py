"""The OpenAPI document: what every route answers, its refusals, headers and credentials. Read only when asked for."""
