"""The agents' side of the leader: sessions and outboxes."""
