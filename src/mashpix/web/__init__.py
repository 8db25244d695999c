"""The page in the browser and its API: a server that shows and schedules jobs, and worker processes that run them.

The server process holds no torch and decodes no file. `app` puts it together; `worker` is the other side.
"""
