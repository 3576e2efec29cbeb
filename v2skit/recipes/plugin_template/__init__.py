"""A plug-in package that ``v2skit new-plugin`` copies under another name; what differs by kind is in ``kinds``."""
