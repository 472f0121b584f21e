"""Host applications that mount czo-auth; each folder runs with one command, which its README begins with."""
