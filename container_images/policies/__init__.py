"""The rules, pure: what AWS takes and what the stack grants, without AWS, Pulumi, clock or file."""
