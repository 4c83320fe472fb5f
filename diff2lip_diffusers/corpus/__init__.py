"""A corpus without people: talking faces drawn and spoken by programs, with the true mouth of every frame."""
