"""The REST API: read the request, call a flow, shape the response. It decides nothing about security."""
