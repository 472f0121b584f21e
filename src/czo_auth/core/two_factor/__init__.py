"""The second factor: enrolment, challenges, attempts, backup codes."""
