"""The product: what is granted, refused, counted and recorded. No HTTP, no SQL, no process, no clock."""
