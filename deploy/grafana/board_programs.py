"""What keepers of a cluster look at: schedulers with their store, and nodes.

Duty: panels, their queries and thresholds; where there is an alert, its threshold. A rate of what may
never happen ends in `or vector(0)`: a test demands data of every panel.
Not here: services (board_cluster), how a panel becomes JSON (panels).
"""

from deploy.grafana.panels import Board, Panel, Query, Row, bad_above, bad_below
from deploy.grafana.queries import (
    CLUSTER,
    DAY_S,
    NODE,
    OF_CLUSTER,
    OF_NODE,
    p50_p99,
    quantile,
    rate_of,
)

SCHEDULER = Board(
    "berth-scheduler",
    "Berth: scheduler and store",
    "Who leads, how fast decisions are made and become durable, and how etcd does.",
    variables=(CLUSTER,),
    rows=(
        Row(
            "Leadership",
            (
                Panel(
                    "Who leads", "1 for the scheduler that leads.",
                    (Query(f"berth_leader{{{OF_CLUSTER}}}", "{{instance}}"),),
                ),
                Panel(
                    "Elections",
                    "Leaderships by how they began and ended. `superseded`: the lease was not renewed in time.",
                    (Query(rate_of("berth_elections_total", OF_CLUSTER, "outcome"), "{{outcome}}"),),
                    unit="ops",
                ),
                Panel(
                    "Store state", "1 for the state in which a scheduler finds etcd; all but `ok` is read-only.",
                    (Query(f"max by (state) (berth_store_state{{{OF_CLUSTER}}})", "{{state}}"),),
                ),
            ),
        ),
        Row(
            "Deciding",
            (
                Panel("Turns of the leader", "Time of one turn: take in events, decide, place.",
                      p50_p99("berth_turn_seconds", OF_CLUSTER), unit="s", steps=bad_above(0.05)),
                Panel("Placement of one task", "Time of turns that placed tasks, divided by their number.",
                      p50_p99("berth_placement_seconds", OF_CLUSTER), unit="s", steps=bad_above(0.01)),
                Panel(
                    "Event loop lag", "How late the schedulers' event loops wake (p99).",
                    (Query(quantile(0.99, "berth_event_loop_lag_seconds",
                                     f'{OF_CLUSTER}, job="berth-scheduler"', "instance"), "{{instance}}"),),
                    unit="s", steps=bad_above(0.1),
                ),
            ),
        ),
        Row(
            "Agents",
            (
                Panel(
                    "Sessions", "Agents connected to the leader, and nodes that should be.",
                    (Query(f"sum(berth_agent_sessions{{{OF_CLUSTER}}})", "sessions"),
                     Query(f'sum(berth_nodes{{{OF_CLUSTER}, state="ready"}})', "nodes ready")),
                    width=6,
                ),
                Panel(
                    "Sessions opened and closed", "Steady rates mean connections that break.",
                    (Query(rate_of("berth_agent_sessions_opened_total", OF_CLUSTER), "opened"),
                     Query(rate_of("berth_agent_sessions_closed_total", OF_CLUSTER), "closed")),
                    unit="ops", width=6,
                ),
                Panel("Lateness of heartbeats", "How much later than the period agents were heard.",
                      p50_p99("berth_heartbeat_lateness_seconds", OF_CLUSTER), unit="s",
                      steps=bad_above(2, 5), width=6),
                Panel(
                    "Detection of lost nodes",
                    "How long nodes had been silent when they were declared lost (mean); the default promise is 5 s.",
                    (Query(f"sum(berth_node_detection_seconds_sum{{{OF_CLUSTER}}})"
                           f" / (sum(berth_node_detection_seconds_count{{{OF_CLUSTER}}}) > 0) or vector(0)",
                           "silent for"),),
                    unit="s", steps=bad_above(6, 10), width=6,
                ),
                Panel(
                    "Assignments sent", "Tasks told to agents per second.",
                    (Query(rate_of("berth_assignments_sent_total", OF_CLUSTER), "assignments"),),
                    unit="ops", width=12,
                ),
                Panel(
                    "Nodes lost", "Nodes declared lost since the schedulers started.",
                    (Query(f"sum(berth_nodes_lost_total{{{OF_CLUSTER}}})", "lost"),), width=12,
                ),
            ),
        ),
        Row(
            "Store",
            (
                Panel("Commits", "From the first change queued until the transaction is durable.",
                      p50_p99("berth_store_commit_seconds", OF_CLUSTER), unit="s", steps=bad_above(0.1, 0.25)),
                Panel("Changes in a commit", "Puts and deletes in one transaction; at 127 the store is the bottleneck.",
                      p50_p99("berth_store_commit_changes", OF_CLUSTER), steps=bad_above(127)),
                Panel(
                    "Written", "Bytes of durable transactions per second.",
                    (Query(rate_of("berth_store_commit_bytes_total", OF_CLUSTER), "bytes"),), unit="Bps",
                ),
                Panel(
                    "Commits in flight", "Transactions sent and not answered; stuck above 0: etcd does not answer.",
                    (Query(f"sum by (instance) (berth_store_commits_in_flight{{{OF_CLUSTER}}})", "{{instance}}"),),
                    width=12,
                ),
                Panel(
                    "Failed calls to etcd", "By kind. Any steady rate: look at etcd's members.",
                    (Query(rate_of("berth_store_errors_total", OF_CLUSTER, "kind") + " or vector(0)", "{{kind}}"),),
                    unit="ops", width=12,
                ),
            ),
        ),
        Row(
            "etcd",
            (
                Panel(
                    "Sync to disk", "Time of a sync of each member's log (p99).",
                    (Query(quantile(0.99, "etcd_disk_wal_fsync_duration_seconds", OF_CLUSTER, "instance"),
                           "{{instance}}"),),
                    unit="s", steps=bad_above(0.025, 0.1), width=6,
                ),
                Panel(
                    "Space used", "Part of its quota that each member's database fills; at 100 % etcd refuses writes.",
                    (Query(f"etcd_mvcc_db_total_size_in_bytes{{{OF_CLUSTER}}} / etcd_server_quota_backend_bytes{{{OF_CLUSTER}}}",
                           "{{instance}}"),),
                    unit="percentunit", steps=bad_above(0.6, 0.9), width=6,
                ),
                Panel(
                    "Members with a leader", "Members that know a leader; fewer than all: look at the rest.",
                    (Query(f"sum(etcd_server_has_leader{{{OF_CLUSTER}}})", "members"),), width=6,
                ),
                Panel(
                    "Changes of etcd's leader", "Seen since each member started.",
                    (Query(f"etcd_server_leader_changes_seen_total{{{OF_CLUSTER}}}", "{{instance}}"),), width=6,
                ),
            ),
        ),
        Row(
            "Certificates",
            (
                Panel(
                    "Days left", "Until the certificates in use end; renew in time, nothing works without.",
                    (Query(f"min by (certificate, job) (berth_certificate_expiry_timestamp_seconds{{{OF_CLUSTER}}}"
                           f" - time()) / {DAY_S}", "{{job}} {{certificate}}"),),
                    unit="d", steps=((None, "red"), (14, "yellow"), (30, "green")), width=24,
                ),
            ),
        ),
    ),
)  # fmt: skip

NODES = Board(
    "berth-node",
    "Berth: node",
    "One machine or several: its agent's session, tasks, pulls and Engine.",
    variables=(CLUSTER, NODE),
    rows=(
        Row(
            "Agent",
            (
                Panel("Connected", "Agents that have a session with a leader.",
                      (Query(f"sum(berth_agent_connected{{{OF_NODE}}})"),), steps=bad_below(1),
                      is_stat=True, width=6),
                Panel("Tasks running", "Tasks that run on the chosen nodes.",
                      (Query(f'sum(berth_agent_tasks{{{OF_NODE}, state="running"}})'),),
                      is_stat=True, width=6),
                Panel("Epoch", "Newest leader's epoch that the agents obeyed; the lowest of them.",
                      (Query(f"min(berth_agent_epoch{{{OF_NODE}}})"),), is_stat=True, width=6),
                Panel("Certificate", "Days until the first of the chosen agents' certificates ends.",
                      (Query(f"min(berth_certificate_expiry_timestamp_seconds{{{OF_NODE}}} - time()) / {DAY_S}"),),
                      unit="d", steps=((None, "red"), (14, "yellow"), (30, "green")),
                      is_stat=True, width=6),
                Panel("Tasks by state", "Tasks that the agents know of.",
                      (Query(f"sum by (state) (berth_agent_tasks{{{OF_NODE}}})", "{{state}}"),), is_stacked=True),
                Panel("Failed tasks", "Tasks per second that ended badly or could not be started.",
                      (Query(rate_of("berth_agent_task_failures_total", OF_NODE, "instance"), "{{instance}}"),),
                      unit="ops"),
                Panel("Sessions", "Sessions opened per second; steady: the connection breaks.",
                      (Query(rate_of("berth_agent_sessions_total", OF_NODE, "instance"), "{{instance}}"),),
                      unit="ops"),
                Panel("Refused messages", "Messages of schedulers that were not obeyed, by reason.",
                      (Query(rate_of("berth_agent_refused_messages_total", OF_NODE, "reason"), "{{reason}}"),),
                      unit="ops"),
                Panel("Restarts on its own", "Containers that agents restarted while no leader answered.",
                      (Query(rate_of("berth_agent_restarts_total", OF_NODE, "instance"), "{{instance}}"),),
                      unit="ops"),
                Panel("Event loop lag", "How late the agents' event loops wake (p99).",
                      (Query(quantile(0.99, "berth_event_loop_lag_seconds", OF_NODE, "instance"), "{{instance}}"),),
                      unit="s", steps=bad_above(0.1)),
            ),
        ),
        Row(
            "Engine",
            (
                Panel("Engine answers", "1 while a machine's Engine answers; at 0 its node withdraws.",
                      (Query(f"min by (instance) (berth_agent_engine_up{{{OF_NODE}}})", "{{instance}}"),),
                      steps=bad_below(1)),
                Panel("Calls by outcome", "Calls to the Engine per second.",
                      (Query(rate_of("berth_agent_engine_call_seconds_count", OF_NODE, "outcome"), "{{outcome}}"),),
                      unit="ops"),
                Panel("Time of calls", "By call (p99), waiting for a thread included.",
                      (Query(quantile(0.99, "berth_agent_engine_call_seconds", OF_NODE, "call"), "{{call}}"),),
                      unit="s", steps=bad_above(5)),
                Panel("Pulls by outcome", "Pulls of images per second.",
                      (Query(rate_of("berth_agent_pulls_total", OF_NODE, "outcome"), "{{outcome}}"),), unit="ops"),
                Panel("Time of pulls", "Whatever their outcome.",
                      p50_p99("berth_agent_pull_seconds", OF_NODE), unit="s", steps=bad_above(60)),
                Panel("Downloaded", "Layers downloaded, bytes per second.",
                      (Query(rate_of("berth_agent_pulled_bytes_total", OF_NODE, "instance"), "{{instance}}"),),
                      unit="Bps"),
            ),
        ),
        Row(
            "Disk",
            (
                Panel("Journal writes", "Time until the journal is durable.",
                      p50_p99("berth_agent_journal_write_seconds", OF_NODE), unit="s", steps=bad_above(0.1)),
                Panel("Journal failures", "Writes that failed; any: disk full or read-only.",
                      (Query(f"sum by (instance) (berth_agent_journal_failures_total{{{OF_NODE}}})", "{{instance}}"),),
                      steps=bad_above(1)),
                Panel("Swept", "Dead containers and bytes of unused images removed per second.",
                      (Query(rate_of("berth_agent_swept_containers_total", OF_NODE), "containers"),
                       Query(rate_of("berth_agent_swept_image_bytes_total", OF_NODE), "image bytes"))),
            ),
        ),
    ),
)  # fmt: skip
