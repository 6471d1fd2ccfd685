"""A topology as a folder that starts without the lab: a compose file, or a Swarm stack.

    model     what stands where: nodes, a road for each region, the delay of each link. Pure.
    images    which image each program is started from
    compose   the model as compose.yaml, for one machine. Pure.
    stack     the model as stack.yaml, for a swarm. Pure.
    page      how to start, look, harm, heal and stop, in commands to type. Pure.
    write     the folder: refused where it is somebody else's
    delays    no part of the lab: the script that gives the roads their delays, copied into the folder

Names, ports and configuration are those of the docker runtime.
"""
