"""What events were lost, and what of them Redis still knows: told as rebuilt, without telling anything twice."""
