"""What does a step cost?"""
