"""A model of the product, small enough to be read, and a machine that holds the product against it."""
