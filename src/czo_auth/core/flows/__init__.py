"""What people and machines come for, step by step. Each flow knows several rooms; no room knows a flow."""
