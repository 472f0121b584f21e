"""The web skin: account and administration pages, plain HTML that scripts only make more comfortable."""
