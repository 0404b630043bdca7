"""Rules over what is measured: what they see, when they ring and are over, and what people have changed of them."""
