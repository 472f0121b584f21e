"""Service accounts: who may make and change them, their keys, and members' keys that go over to one."""
