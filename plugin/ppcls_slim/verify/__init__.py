"""Does the compressed model compute what it should?"""
