"""The event loop in front of Flask.

A worker's loop owns every connection. It answers the most frequent requests itself, reads every
other request to the end, and hands it to Flask in one of a few threads. No code here may block the
loop: it checks lengths before contents, and leaves everything that waits or computes to a thread.
"""
