"""Events: their names, their recording in the transaction of the change, and their delivery."""
