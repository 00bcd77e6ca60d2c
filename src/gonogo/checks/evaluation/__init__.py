"""Does evaluation measure what it says?"""
