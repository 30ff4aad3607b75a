"""What happens: one activity a file; flows only wire."""
