"""What runs on the event loop, in front of Flask.

A worker's loop owns every connection. It answers the most frequent requests itself, reads every
other request to the end, and hands it to Flask in a few threads. Nothing here may hold the loop for
a millisecond: lengths are checked before contents, and whatever waits or computes goes to a thread.
"""
