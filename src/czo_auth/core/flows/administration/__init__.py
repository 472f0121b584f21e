"""What administrators and operators do: users, imports, audit log, overview."""
