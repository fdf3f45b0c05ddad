"""What a FlexDriver, a FlexNode and the objects around them mean, as typed values."""
