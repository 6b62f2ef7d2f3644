"""What the stack declares: the Pulumi components, and the pure rules beneath them."""
