"""What a network says, worked out from its weights: for students, which have no weight of their teachers."""
