"""What a person or a pipeline reads afterwards and meanwhile."""
