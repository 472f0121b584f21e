"""The second factor: enrollment, challenges, attempts, backup codes."""
