"""What a user may write under ``Slim:``."""
