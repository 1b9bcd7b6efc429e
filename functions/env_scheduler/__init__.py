"""Put environments to sleep at night and on holidays, and wake them."""
