"""What REST, GraphQL and the pages share: credentials, authentication, admission, strict bodies, cookies, origins,
problems."""
