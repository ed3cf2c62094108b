"""`python -m nodeagent` is `berth-agent`."""

from nodeagent.main import main

main()
