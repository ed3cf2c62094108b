"""Docker's Engine API, as far as Swarm's commands need it, in front of Berth's Control API.

A request is read (requests, filters, translate), asked of the cluster (berth.client) and answered
in Docker's form (translate, errors). Nothing here knows how the cluster does what it does.
"""
