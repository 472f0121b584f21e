"""
The check-up of a deployment: what stands, what is weak, and what to do, graded against OWASP ASVS 5.0.

It changes nothing: no file is made, no migration runs, no key is rotated. Nothing that it says is secret.
"""
