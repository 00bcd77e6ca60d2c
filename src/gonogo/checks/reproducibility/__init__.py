"""Does the run repeat and resume?"""
