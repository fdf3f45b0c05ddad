"""What is true of every node and of a FlexDriver as a whole, from what can be seen."""
