"""What handlers of killed processes do: a line in the file ``deeds`` for each deed, whatever becomes of the process."""

DEED = """\
import os


def deed(name):
    fd = os.open("deeds", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{name}\\n".encode())
    os.close(fd)
    return name
"""
