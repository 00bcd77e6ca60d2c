"""Can it learn?"""
