"""The policy pack: what other Pulumi stacks must not do to ADR040."""
