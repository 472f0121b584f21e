"""Service accounts: who may create and change them, their keys, and the transfer of members' keys."""
