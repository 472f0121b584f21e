"""Facts that happened: their names, their record in the transaction of the change, and their delivery."""
