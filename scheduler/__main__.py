"""`python -m scheduler` is `berth-scheduler`."""

from scheduler.main import main

main()
