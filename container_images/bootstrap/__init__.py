"""What CI needs in AWS before it can deploy the registry: a Pulumi program of its own."""
