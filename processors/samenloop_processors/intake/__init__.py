"""Intake: may this be here, is it valid, and whose is it?"""
