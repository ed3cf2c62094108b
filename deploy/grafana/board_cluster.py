"""What users of a cluster look at: the overview, and services with their rollouts.

Duty: panels, their queries and thresholds; where there is an alert, its threshold.
Not here: programs and machines (board_programs), how a panel becomes JSON (panels).
"""

from deploy.grafana.panels import Board, Panel, Query, Row, bad_above, bad_below
from deploy.grafana.queries import (
    CLUSTER,
    OF_CLUSTER,
    OF_SERVICE,
    SERVICE,
    by_state,
    quantile,
    rate_of,
)

_PENDING = Panel(
    "Waiting tasks by reason",
    "Tasks without a node, by the filter that forbids most nodes. `berth explain` has the details.",
    (Query(f'sum by (reason) (berth_tasks_pending{{{OF_CLUSTER}}}) > 0 or sum(berth_tasks_pending{{{OF_CLUSTER}}})',
           "{{reason}}"),),
    is_stacked=True,
)  # fmt: skip
_START = Panel(
    "From created to running",
    "Time that tasks took from their creation until they ran: pull, create, start, first health check.",
    (
        Query(quantile(0.5, "berth_task_start_seconds", OF_CLUSTER), "p50"),
        Query(quantile(0.95, "berth_task_start_seconds", OF_CLUSTER), "p95"),
    ),
    unit="s",
    steps=bad_above(30, 120),
)
_SERVICES = Panel(
    "Services by convergence",
    "How near services are to what is wanted. `paused` waits for you; `waiting` has tasks without a node.",
    (by_state("berth_services", "convergence"),),
    is_stacked=True,
)
_ROLLOUTS = Panel(
    "Rollouts by state",
    "Services by the state of their last update; a service that was never updated is in none.",
    (by_state("berth_rollouts"),),
    is_stacked=True,
)
_FAILURES = Panel(
    "Failed tasks",
    "Tasks per second that ended badly or could not be started, by node. Steady: a crash loop.",
    (Query(rate_of("berth_agent_task_failures_total", OF_CLUSTER, "instance"), "{{instance}}"),),
    unit="ops",
)
_DRIFT = Panel(
    "Drifted images",
    "Running tasks whose image is not the pinned one. Anything above 0 is a security matter.",
    (Query(f"sum(berth_tasks_drifted{{{OF_CLUSTER}}})"),),
    steps=bad_above(1),
    is_stat=True,
    width=4,
)

OVERVIEW = Board(
    "berth-overview",
    "Berth: cluster overview",
    "Is there a leader, are all nodes there, does everything run that should?",
    variables=(CLUSTER,),
    rows=(
        Row(
            "Now",
            (
                Panel(
                    "Leaders",
                    "Schedulers that lead: 1. With 0 nothing is placed or moved; containers run on.",
                    (Query(f"sum(berth_leader{{{OF_CLUSTER}}})"),),
                    steps=((None, "red"), (1, "green"), (2, "red")),
                    is_stat=True, width=4,
                ),
                Panel(
                    "Nodes ready", "Nodes that take tasks or could, were they active.",
                    (Query(f'sum(berth_nodes{{{OF_CLUSTER}, state="ready"}})'),),
                    steps=bad_below(1), is_stat=True, width=4,
                ),
                Panel(
                    "Nodes down", "Nodes that were lost and have not come back.",
                    (Query(f'sum(berth_nodes{{{OF_CLUSTER}, state="down"}})'),),
                    steps=bad_above(1), is_stat=True, width=4,
                ),
                Panel(
                    "Tasks running", "Tasks that run now.",
                    (Query(f'sum(berth_tasks{{{OF_CLUSTER}, state="running"}})'),),
                    is_stat=True, width=4,
                ),
                Panel(
                    "Tasks waiting", "Tasks that have no node.",
                    (Query(f"sum(berth_tasks_pending{{{OF_CLUSTER}}})"),),
                    steps=bad_above(1), is_stat=True, width=4,
                ),
                Panel(
                    "Alerts", "Alerts of Berth that fire now; docs/runbook.md has a paragraph each.",
                    (Query(f'count(ALERTS{{alertname=~"Berth.*", alertstate="firing", {OF_CLUSTER}}})'
                           " or vector(0)"),),
                    steps=bad_above(1), is_stat=True, width=4,
                ),
            ),
        ),
        Row(
            "Nodes and tasks",
            (
                Panel(
                    "Nodes by state",
                    "`disconnected` is not lost yet; `unknown` was not heard by a new leader yet.",
                    (by_state("berth_nodes"),), is_stacked=True, width=12,
                ),
                Panel(
                    "Tasks by state",
                    "Tasks by observed state, finished ones that are kept as history apart.",
                    (by_state("berth_tasks"),), is_stacked=True, width=12,
                ),
                _SERVICES, _PENDING, _START,
                Panel(
                    "Placements",
                    "Tasks placed per second. Far above your own changes: something crashes.",
                    (Query(rate_of("berth_placements_total", OF_CLUSTER), "placed"),), unit="ops",
                ),
                _FAILURES, _ROLLOUTS,
            ),
        ),
        Row(
            "Programs",
            (
                Panel(
                    "Versions", "Programs by version; more than one while an upgrade is under way.",
                    (Query(f"count by (version) (berth_scheduler_info{{{OF_CLUSTER}}})",
                           "scheduler {{version}}"),
                     Query(f"count by (version) (berth_agent_info{{{OF_CLUSTER}}})", "agent {{version}}")),
                    width=12,
                ),
                Panel(
                    "Scrapes that work",
                    "Part of the targets of each job that Prometheus can reach.",
                    (Query(f'avg by (job) (up{{{OF_CLUSTER}, job=~"berth-scheduler|berth-agent|etcd"}})',
                           "{{job}}"),),
                    unit="percentunit", steps=bad_below(1), width=12,
                ),
            ),
        ),
    ),
)  # fmt: skip

SERVICES = Board(
    "berth-service",
    "Berth: service and rollout",
    "How rollouts go, and the containers of one service as Docker's API shows them.",
    variables=(CLUSTER, SERVICE),
    rows=(
        Row(
            "Rollouts",
            (
                Panel("Updating", "Services whose update is under way.",
                      (Query(f'sum(berth_services{{{OF_CLUSTER}, convergence="updating"}})'),),
                      is_stat=True, width=4),
                Panel("Paused", "Services whose rollout failed and waits for you.",
                      (Query(f'sum(berth_rollouts{{{OF_CLUSTER}, state=~"paused|rollback_paused"}})'),),
                      steps=bad_above(1), is_stat=True, width=4),
                Panel("Rolled back", "Services whose last update failed and was taken back.",
                      (Query(f'sum(berth_rollouts{{{OF_CLUSTER}, state=~"rollback_.*"}})'),),
                      steps=bad_above(1), is_stat=True, width=4),
                Panel("Converged", "Part of the services that run as they should.",
                      (Query(f'sum(berth_services{{{OF_CLUSTER}, convergence="converged"}})'
                             f" / (sum(berth_services{{{OF_CLUSTER}}}) > 0)"),),
                      unit="percentunit", steps=bad_below(1), is_stat=True, width=4),
                Panel("Short of tasks", "Services with fewer tasks than wanted and no update under way.",
                      (Query(f'sum(berth_services{{{OF_CLUSTER}, convergence=~"waiting|converging"}})'),),
                      steps=bad_above(1), is_stat=True, width=4),
                _DRIFT, _ROLLOUTS, _SERVICES, _PENDING, _START,
                Panel("Placements", "Tasks placed per second: the pace of a rollout.",
                      (Query(rate_of("berth_placements_total", OF_CLUSTER), "placed"),), unit="ops"),
                _FAILURES,
            ),
        ),
        Row(
            "Containers of the service",
            (
                Panel("Containers", "Containers of the chosen services that Docker's API shows.",
                      (Query(f"count by (service) (up{{{OF_SERVICE}}})", "{{service}}"),), is_stacked=True),
                Panel("Answering", "Part of these containers whose metrics Prometheus can scrape.",
                      (Query(f"avg by (service) (up{{{OF_SERVICE}}})", "{{service}}"),),
                      unit="percentunit", steps=bad_below(1)),
                Panel("By node", "Where the containers of the chosen services are.",
                      (Query(f"count by (node) (up{{{OF_SERVICE}}})", "{{node}}"),), is_stacked=True),
            ),
        ),
    ),
)  # fmt: skip
