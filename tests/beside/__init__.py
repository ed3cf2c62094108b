"""The same docker commands on a real Docker Swarm and on Berth, side by side.

with swarm_of(lab.hosts) as swarm:
    told = run_script(SCRIPT, swarm_cli, words)
"""
