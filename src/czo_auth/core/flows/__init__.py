"""What people and machines do, step by step. Flows use the features; no feature imports a flow."""
