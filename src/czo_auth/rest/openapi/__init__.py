"""The OpenAPI document: responses, refusals, headers and credentials of all routes. Imported only when needed."""
