"""Networks, and what stores and loads them."""
