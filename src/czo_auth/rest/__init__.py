"""The REST skin: reads requests, calls a flow, shapes its answer. It decides nothing about security."""
