"""
Checks of a deployment: what is in order, what is weak, and what to do, graded against OWASP ASVS 5.0.

It changes nothing: no file is made, no migration runs, no key is rotated. Its output contains no secrets.
"""
