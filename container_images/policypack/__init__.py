"""The policy pack: checks of ADR040's rules in any Pulumi stack."""
