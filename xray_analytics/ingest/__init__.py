"""How do data come in?"""
