"""What the hub set apart, for its operators: look at it, put it back, or discard it.

What lies where is read from the topics ``quarantine.*``, what became of it from the log of decisions: nothing is kept beside
them. No payload is ever shown.
"""
