"""What a lifecycle policy is about to do to the images of a repository."""
