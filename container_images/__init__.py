"""ECR repositories in which only the pipeline moves `latest`: rules, command, evidence."""
