"""A reader that does what it is told, for the tests of processes that crash or hang."""

import os
import time

from mashpix.errors import FileError
from mashpix.files.reader_process import serve


def answer(request, data):
    """Crash, hang, complain, or tell how much came."""
    if request["do"] == "crash":
        print("this is no answer")
        os.abort()
    if request["do"] == "hang":
        time.sleep(60)
    if request["do"] == "shout":
        raise FileError("damaged file")
    return {"length": len(data)}, None


def main():
    """What the process does."""
    serve(answer, what="file")
