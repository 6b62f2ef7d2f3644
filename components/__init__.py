"""What the stack declares: its Pulumi components."""
