"""What hostile input does: campaigns that look for tracebacks, hangs, losses and silent wrong results."""
