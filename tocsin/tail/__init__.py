"""`tocsin tail`: the live stream in a terminal. A dropped connection is taken up again without a hole."""
