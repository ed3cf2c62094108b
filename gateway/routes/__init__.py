"""What answers each path, one module per kind of object; they are put together in gateway.app."""
