"""A face video -> steady mouth crops."""
