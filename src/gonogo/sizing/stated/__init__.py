"""Memory plans as somebody wrote them down, and their audit."""
