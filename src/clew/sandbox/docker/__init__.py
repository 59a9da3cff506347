"""The ``docker`` surroundings: every sandbox is a hardened container, with the runner of ``native`` inside.

Here belongs what starts, talks to and ends containers: ``container`` (the command line of Docker, what it is told and
what its errors mean), ``channel`` (messages over the container's standard streams), ``remote`` (a workspace at the other
end of them), ``backend`` (the port). ``agent`` is the other end: it runs in the container on the standard library alone.
Never here: how a command is confined or limited (the runner), or another way to a container than Docker's own command.
"""
