"""Are attention weights what they are called?"""
