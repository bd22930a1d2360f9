"""`fast-nst demo`: a local web page that stylizes pictures, the webcam and video files.

A page of its own and not a Gradio app: the page holds a video's or camera's frames, so it can send the
newest one only after the last result came back (nothing queues, nothing is written to disk on the way),
paint strength and before/after without asking the server, and record what it shows.
"""
