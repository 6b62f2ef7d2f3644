"""The stack that a command is about: what is declared, and what of it is in AWS."""
