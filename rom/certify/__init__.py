"""What is known of the error."""
